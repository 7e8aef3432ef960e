"""The recipe of the package's model, made small: it learns, goes on where it was stopped, and converts exactly."""

import hashlib
import json
from itertools import islice

import pytest

import tttlab
from tests.models.test_countdown import drawn
from tttlab.arithmetic import canonical
from tttlab.countdown.checking import judge_steps, trouble
from tttlab.countdown.drawing import is_held_out
from tttlab.countdown.vocabulary import ID
from tttlab.countdown.wording import read_puzzle
from tttlab.training.countdown.data import CONTEXT, texts

LEARNED = "423f83d3e3131aa2"


def told():
    return [" ".join(text) for text in islice(texts(5), 400)]


def test_the_texts_are_the_same_for_a_seed_and_hold_known_words_alone():
    assert told() == told()
    for text in told():
        assert set(text.split()) <= set(ID)
        assert len(text.split()) <= CONTEXT
        assert (text[:4], text[-4:]) == ("<s> ", "</s>")


def test_no_text_is_of_a_puzzle_that_is_kept_for_the_test():
    puzzles = [read_puzzle(text) for text in told()]
    assert not [puzzle for puzzle in puzzles if is_held_out(puzzle)]
    assert {len(puzzle.numbers) for puzzle in puzzles} == {3, 4}


def test_every_answer_is_right_and_every_step_of_exact_thinking_too():
    wrong = {"exact": 0, "noisy": 0}
    for text in told():
        puzzle, kind = read_puzzle(text), text.split("<think>")[0].split("Answer")[0].split()[-1]
        thinking = text.partition("<think>")[2].partition("</think>")[0]
        bad = [step for step in judge_steps(puzzle, thinking) if step.trouble]
        wrong[kind] += len(bad)
        answer = text.partition("Answer :")[2].removesuffix("</s>")
        assert canonical(answer) is not None
        if not bad:
            assert trouble(puzzle, answer) is None
    assert wrong["exact"] == 0
    assert wrong["noisy"] > 0


def test_all_kinds_of_texts_are_there():
    said = told()
    for word in ("dfs", "bfs", "best", "exact", "noisy", "Wait"):
        assert any(f" {word} " in text for text in said), word
    assert any("<think>" not in text for text in said)


def test_the_texts_are_those_that_the_package_s_model_learned_from():
    """Whoever changes them makes another model: train it again, and write its card anew."""
    digest = hashlib.sha256(repr(list(islice(texts(1), 2000))).encode()).hexdigest()
    assert digest.startswith(LEARNED)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a small network that was trained for a moment, and the network."""
    pytest.importorskip("torch")
    from tttlab.training.countdown.train import train

    folder = tmp_path_factory.mktemp("recipe")
    return folder, train(folder, schedule(60), shape())


def schedule(steps):
    from tttlab.training.countdown.train import Schedule

    return Schedule(tokens=steps * 2 * CONTEXT, rows=2, rising=5)


def shape():
    from tttlab.training.countdown.network import Shape

    return Shape(words=len(ID), width=32, layers=2, heads=2, inner=64)


def test_it_learns(trained):
    folder, _ = trained
    losses = [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.7 * losses[0]


def test_it_goes_on_where_it_was_stopped_as_if_it_had_not_been(trained, tmp_path, monkeypatch):
    import torch

    from tttlab.training.countdown import train as training

    class Stopped(Exception):
        pass

    def stops(*given):
        if given[-1] == 31:
            raise Stopped
        return one_step(*given)

    one_step = training._step
    monkeypatch.setattr(training, "KEPT_EVERY", 20)
    monkeypatch.setattr(training, "_step", stops)
    with pytest.raises(Stopped):
        training.train(tmp_path, schedule(60), shape())
    monkeypatch.setattr(training, "_step", one_step)
    again = training.train(tmp_path, schedule(60), shape())
    for name, weight in trained[1].state_dict().items():
        assert torch.allclose(weight, again.state_dict()[name], atol=1e-5), name


def test_the_engine_gives_the_same_log_probabilities_as_the_network(trained, tmp_path):
    import torch

    from tttlab.models.countdown import CountdownModel
    from tttlab.training.countdown.conversion import convert, pieces

    _, network = trained
    convert(network, tmp_path / "small.gguf", context=1024)
    model = CountdownModel(weights=tmp_path / "small.gguf")
    words = ["3", "5", "8", "->", "16", "dfs", "exact", "<think>", "8", "*", "5", "=", "40", ":", "40", "3", ";"]
    read = torch.tensor([[ID["<s>"], *(ID[word] for word in words)]])
    logits = network(read)[0, -1]
    # The engine's vocabulary has the beginnings of words too, as unlikely as padding.
    whole = torch.cat([logits, logits[ID["<pad>"]].expand(len(pieces()) - len(ID))])
    expected = whole.log_softmax(-1)
    [completion] = drawn(model, "3 5 8 -> 16", begun="<think> 8 * 5 = 40 : 40 3 ;", temperature=1.0, logprobs=20)
    first = completion.tokens[0]
    assert first.logprob == pytest.approx(expected[first.token_id].item(), abs=0.01)
    assert len(first.top.token_ids) == 20
    for token, logprob in zip(first.top.token_ids, first.top.logprobs, strict=True):
        assert logprob == pytest.approx(expected[token].item(), abs=0.01)
    model.close()


def test_the_evaluation_counts_what_was_drawn():
    from tttlab.countdown.drawing import held_out_puzzles
    from tttlab.training.countdown.evaluation import evaluate

    row = evaluate(tttlab.model("local:countdown"), held_out_puzzles(3, 6), None, samples=4)
    assert 0.4 < row.single.mean <= row.best_of_4.mean == row.best_of_all.mean <= 1
    assert 40 < row.tokens < 400
    assert str(row).startswith("| 3 | any | ")
