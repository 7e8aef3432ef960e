"""Watching a run from the thread that waits for it."""

import queue

import pytest

import tttlab
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.notebook.transcript import Transcript
from tttlab.notebook.watching import Follower, facts
from tttlab.progress import RunEnded
from tttlab.types import Price


class Board:
    """A screen that keeps what it is shown."""

    def __init__(self):
        self.facts = []
        self.closed_with = []

    def update(self, transcript):
        self.facts.append(facts(transcript))

    def close(self, run):
        self.closed_with.append(run)
        return True


def think(follower, reply, **options):
    model = ScriptedModel(reply, price=Price(prompt=1, output=1))
    return tttlab.think("7 * 8?", model=model, observer=follower.observe, while_waiting=follower.pump, **options)


def test_a_screen_is_shown_how_far_the_run_is_while_it_goes_on():
    board = Board()
    follower = Follower(board)
    run = think(follower, Reply(text="a b c d e f g", stall_after=7), budget="1000 tokens, 0.7 s, 9 calls")
    follower.take_in()
    assert follower.close(run) is True
    assert board.closed_with == [run]
    last = board.facts[-1]
    assert [last[0], last[3], *last[-2:]] == ["10 tokens", "990 tokens left", "1 call, 1 running", "8 calls left"]
    assert last[1].startswith("$")
    assert last[4].endswith("s left")
    assert [said.text for said in follower.transcript.calls] == ["a b c d e f g"]
    assert follower.transcript.run == run


def test_the_transcript_tells_thinking_from_answers_and_calls_from_one_another():
    transcript = Transcript()
    run = tttlab.think(
        "7 * 8?",
        model=ScriptedModel(Reply(text="The answer is 56.", thinking="hm well")),
        strategy="self_consistency",
        samples=2,
        observer=transcript.take,
    )
    assert [(said.number, said.thinking, said.text, said.status, said.answer) for said in transcript.calls] == [
        (1, "hm well", "The answer is 56.", "ok", "56"),
        (2, "hm well", "The answer is 56.", "ok", "56"),
    ]
    assert transcript.running == 0
    assert transcript.answer == run.curve[-1]


def test_without_a_screen_the_run_is_followed_all_the_same():
    follower = Follower(None)
    run = think(follower, Reply(text="The answer is 56."))
    follower.take_in()
    assert follower.transcript.run == run
    assert follower.close(run) is False


def test_a_screen_that_fails_is_given_up_with_a_warning_and_the_run_goes_on():
    class Broken(Board):
        def update(self, transcript):
            raise OSError("the screen is gone")

    with pytest.warns(UserWarning, match="the live view failed .OSError: the screen is gone.; the run goes on"):
        run = think(Follower(Broken()), Reply(text="a b", stall_after=2), budget="0.5 s")
    assert run.status == "budget"


def test_an_error_of_the_one_who_waits_stops_the_run():
    model = ScriptedModel(Reply(text="a b", stall_after=2))
    ended = queue.SimpleQueue()

    def fail():
        raise LookupError("no more patience")

    def tell(event):
        if isinstance(event, RunEnded):
            ended.put(event.run)

    with pytest.raises(LookupError, match="no more patience"):
        tttlab.think("7 * 8?", model=model, while_waiting=fail, observer=tell)
    assert ended.get(timeout=30).status == "stopped"
    assert model.in_flight == 0
