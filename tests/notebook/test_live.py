"""The live view's messages, in a real kernel; what a browser makes of them is tested in `tests/browser`."""

import ipykernel
import pytest

from tests.notebook.kernel import news_in
from tttlab.notebook.live import LiveWidget

needs_subshells = pytest.mark.skipif(
    ipykernel.version_info < (7,), reason="an older kernel hears the browser after the cell only"
)
WIDGET = "application/vnd.jupyter.widget-view+json"
PACE = "import tttlab.notebook.live as live\nlive.WHOLE_AT_FIRST = 2"


def said(news, number, channel):
    """The text of a call as the browser puts it together; fails at a gap."""
    pieces, text = 0, ""
    for message in news:
        for call in message["calls"]:
            if call["number"] == number:
                part = call[channel]
                text = part["text"] if part["at"] == 0 else text + part["text"]
                assert part["at"] in (0, pieces)
                pieces = part["to"]
    return text


def test_the_view_is_replaced_by_the_result_and_nothing_of_it_stays(kernel):
    ran = kernel.run("%%think -m slow -o run\nWhat?")
    [shown] = ran.of("display_data")
    [updated] = ran.of("update_display_data")
    assert WIDGET in shown["data"]
    assert shown["data"]["text/plain"] == "thinking: direct · scripted"
    assert shown["transient"]["display_id"] == updated["transient"]["display_id"]
    assert set(updated["data"]) == {"text/plain", "text/html"}
    assert len(ran.of("comm_close")) == 1


def test_without_o_the_view_gives_way_to_the_cells_result(kernel):
    ran = kernel.run("%%think -m slow\nWhat?")
    [updated] = ran.of("update_display_data")
    assert updated["data"] == {}
    assert len(ran.bundles) == 1
    order = [message["msg_type"] for message in ran.messages]
    assert order.index("update_display_data") < order.index("execute_result")


def test_the_text_arrives_in_pieces_that_fit_together(kernel):
    kernel.run(PACE)
    ran = kernel.run("%%think -m slow -s self_consistency -p samples=2 -o run\nWhat?")
    whole = " ".join(map(str, range(12)))
    shown = ran.of("comm_open")[-1]["data"]["state"]
    assert shown["opening"] == {"strategy": "self_consistency", "model": "scripted", "prompt": "What?"}
    for number in (1, 2):
        assert said(ran.news, number, "thinking") == "hm let me think"
        assert whole.startswith(said(ran.news, number, "text"))
        assert len(said(ran.news, number, "text")) > 3
    assert any(call["text"]["at"] > 0 for news in ran.news for call in news["calls"])
    assert {call["status"] for news in ran.news for call in news["calls"]} <= {"running", "ok"}


def test_it_says_how_far_the_run_is(kernel):
    ran = kernel.run("%%think -m slow -s self_consistency -p samples=3 --budget '500 tokens, 60 s' -o run\nWhat is it?")
    tokens, seconds, left, time_left, calls = ran.news[1]["facts"]
    assert tokens.endswith("tokens")
    assert int(tokens.split()[0]) + int(left.split()[0]) == 500
    assert seconds.endswith(" s")
    assert time_left.endswith("s left")
    assert calls == "3 calls, 3 running"


def test_it_shows_the_best_answer_so_far(kernel):
    ran = kernel.run("%%think -m one_stalls -s self_consistency -p samples=6 --budget '0.5 s' -o run\nWhat?")
    assert [news["answer"] for news in ran.news][-1] == "56"


def test_it_is_sent_ten_times_a_second_and_not_once_a_token(kernel):
    kernel.run("chatty = ScriptedModel(Reply(text='word ' * 3000, seconds_per_token=0.0001))")
    ran = kernel.run("%%think -m chatty -p max_tokens=4000 -o run\nWhat?")
    assert int(kernel.value("run.usage.output_tokens")) >= 3000
    assert 0 < len(ran.news) <= 10 * float(kernel.value("run.seconds")) + 1


@needs_subshells
def test_stop_is_heard_while_the_cell_runs(kernel):
    subshell = kernel.subshell()
    opened = {}

    def stalled(message):
        if message["msg_type"] == "comm_open" and "opening" in message["content"]["data"]["state"]:
            opened["id"] = message["content"]["comm_id"]
        return (news := news_in(message)) and any("And" in call["text"]["text"] for call in news["calls"])

    ran = kernel.run(
        "%%think -m stalls -o run\nWhat?",
        when=stalled,
        then=lambda _: kernel.send(opened["id"], {"type": "stop"}, subshell),
    )
    assert (ran.status, kernel.value("run.status")) == ("ok", "stopped")
    assert "Stopped" in ran.plain


@needs_subshells
def test_a_view_that_came_late_is_given_the_whole(kernel):
    kernel.run(PACE)
    subshell = kernel.subshell()
    opened = {}

    def in_pieces(message):
        if message["msg_type"] == "comm_open" and "opening" in message["content"]["data"]["state"]:
            opened["id"] = message["content"]["comm_id"]
        return (news := news_in(message)) and any(call["text"]["at"] > 0 for call in news["calls"])

    ran = kernel.run(
        "%%think -m slow -o run\nWhat?",
        when=in_pieces,
        then=lambda _: kernel.send(opened["id"], {"type": "whole"}, subshell),
    )
    first = next(index for index, news in enumerate(ran.news) if any(call["text"]["at"] > 0 for call in news["calls"]))
    assert any(
        call["text"]["at"] == 0 and call["text"]["to"] > 0 for news in ran.news[first:] for call in news["calls"]
    )


def test_quiet_shows_no_view_and_a_run_that_ends_at_once_neither(kernel):
    quiet = kernel.run("%%think -m slow --quiet -o run\nWhat?")
    at_once = kernel.run("%%think -m quick -o run\nWhat?")
    for ran in (quiet, at_once):
        assert ran.of("comm_open", "update_display_data") == []
        assert len(ran.bundles) == 1


def test_a_view_that_fails_is_given_up_and_the_run_goes_on(kernel):
    kernel.run(
        "import tttlab.notebook.live as live\nkept = live.LiveView.update\nlive.LiveView.update = lambda *_: 1 / 0"
    )
    try:
        ran = kernel.run("%%think -m slow -o run\nWhat?")
    finally:
        kernel.run("live.LiveView.update = kept")
    assert (ran.status, kernel.value("run.status")) == ("ok", "ok")
    assert "the live view failed (ZeroDivisionError: division by zero)" in ran.streams
    assert "11" in ran.plain


def test_the_view_puts_text_in_as_text_only():
    for markup in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "http:",
        "https:",
        "import ",
    ):
        assert markup not in LiveWidget._esm
    assert "url(" not in LiveWidget._css
    assert len(LiveWidget._esm) + len(LiveWidget._css) < 12_000
