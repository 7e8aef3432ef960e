"""Streams of Responses: what their events are."""

import json

import pytest

from tests.models.wire.responses_events import (
    NAMED,
    SAID,
    THOUGHT,
    WIRES,
    at,
    decoded,
    ended,
    event,
    folded,
    item_done,
    raw,
    summary,
    text,
)
from tttlab.errors import (
    BrokenStreamError,
    ContextLengthError,
    HostError,
    OverloadedError,
    ParameterError,
    RateLimitError,
    UnknownModelError,
)
from tttlab.events import Alternatives, ChunkDelta, Finish, Fold, TokenDelta, UsageUpdate
from tttlab.models.wire import Frame
from tttlab.types import Usage


def test_a_stream_of_pieces():
    events = decoded(
        event("response.created", response={"id": "r1", "model": "m1-0001", "usage": None, "error": None}),
        text("fo"),
        text("ur"),
        event("response.output_text.done", **at(1), text="four"),
        ended(thinking=0),
        notes=("noted",),
    )
    assert events == [
        ChunkDelta("fo", 1),
        ChunkDelta("ur", 2),
        UsageUpdate(Usage(prompt_tokens=9, cached_tokens=4, output_tokens=7)),
        Finish("stop", "none", "m1-0001", None, ("noted",), "r1"),
    ]


def test_parts_of_a_summary_are_paragraphs():
    said = folded(
        summary("so "), summary("far"), summary("and", part=1), summary("more", item=2), text("four"), ended(thinking=5)
    )
    assert said.completion().thinking == "so far\n\nand\n\nmore"
    assert (said.completion().text, said.finish.visibility) == ("four", "summary")
    assert said.usage().thinking_tokens == 5


def test_raw_thinking_is_full_and_its_parts_stand_as_they_came():
    said = folded(raw("so "), raw("far", part=1), raw("more", item=2), text("four"), ended(), host="openrouter")
    assert (said.completion().thinking, said.finish.visibility) == ("so far\n\nmore", "full")
    both = folded(raw("hm"), summary("in short"), text("four"), ended(), host="openrouter")
    assert (both.completion().thinking, both.finish.visibility) == ("hm\n\nin short", "full")


@pytest.mark.parametrize(
    ("item", "thinking", "visibility"),
    [
        ({**THOUGHT, "summary": []}, 5, "encrypted"),
        ({**THOUGHT, "summary": []}, None, "encrypted"),
        ({**THOUGHT, "summary": []}, 0, "none"),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, 5, "omitted"),
        (None, 5, "omitted"),
        (None, 0, "none"),
    ],
)
def test_thinking_that_is_not_shown(item, thinking, visibility):
    frames = [item_done(item, 0)] if item else []
    assert folded(*frames, text("four"), ended(thinking=thinking)).finish.visibility == visibility


def test_sealed_thinking_and_its_message_are_kept_whole_and_in_order_without_log_probabilities():
    part = {**SAID["content"][0], "logprobs": [{"token": "four", "logprob": -0.1}]}
    said = folded(
        event("response.output_item.added", output_index=0, item={**THOUGHT, "encrypted_content": "too early"}),
        text("four", item=11),
        item_done({**SAID, "phase": "final_answer", "content": [part]}, 11),
        item_done({**THOUGHT, "id": "rs_2"}, 10),
        item_done(THOUGHT, 2),
        item_done({**THOUGHT, "id": "rs_3"}, 12),
        ended(),
    )
    message = {**SAID, "phase": "final_answer"}
    assert [json.loads(item.content) for item in said.reasoning] == [THOUGHT, {**THOUGHT, "id": "rs_2"}, message]
    assert {item.wire for item in said.reasoning} == {"openai_responses"}
    assert said.completion().text == "four"


def test_thinking_that_is_not_sealed_or_leads_to_no_message_is_not_kept():
    bare = {name: value for name, value in THOUGHT.items() if name != "encrypted_content"}
    assert folded(item_done(bare, 0), text("four"), item_done(SAID, 1), ended()).reasoning == []
    cut = ended("incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert folded(item_done(THOUGHT, 0), cut).reasoning == []


def test_log_probabilities():
    entry = {"token": "four", "logprob": -0.1, "top_logprobs": [{"token": "four", "logprob": -0.1}]}
    events = decoded(text("four", logprobs=[entry]), text("!", logprobs=[]), ended())
    assert events[:2] == [
        TokenDelta("four", 0, None, -0.1, Alternatives((None,), ("four",), (-0.1,))),
        ChunkDelta("!", 1),
    ]


def test_a_refusals_text_is_kept():
    said = folded(event("response.refusal.delta", **at(), delta="I cannot."), ended())
    assert (said.completion().text, said.finish.reason) == ("I cannot.", "content_filter")


@pytest.mark.parametrize(
    ("said", "reason"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("steered", "stop"), (None, "stop")],
)
def test_an_incomplete_response(said, reason):
    finish = folded(text("fo"), ended("incomplete", incomplete_details={"reason": said})).finish
    assert finish.reason == reason
    assert len(finish.notes) == (said in ("steered", None))


def test_a_tool_call_is_a_reason_to_end():
    assert folded(ended(output=[{"type": "function_call", "name": "f"}])).finish.reason == "tool_call"


def test_usage():
    whole = ended(thinking=5)
    counted = folded(text("four"), whole).usage()
    assert (counted.prompt_tokens, counted.cached_tokens, counted.output_tokens, counted.thinking_tokens) == (
        9,
        4,
        7,
        5,
    )
    assert folded(text("four"), ended(usage=None)).estimated


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", OverloadedError),
        ("rate_limit_exceeded", RateLimitError),
        ("invalid_prompt", ParameterError),
        ("context_length_exceeded", ContextLengthError),
        ("something_new", HostError),
    ],
)
def test_a_response_that_failed_and_an_error_event(code, kind):
    for frame in (
        ended("failed", error={"code": code, "message": "it broke"}),
        event("error", code=code, message="it broke", param=None),
        event("error", error={"code": code, "message": "it broke"}),
        json.dumps({"error": {"type": code, "message": "it broke"}}),
    ):
        with pytest.raises(HostError, match="it broke") as raised:
            decoded(text("fo"), frame)
        assert type(raised.value) is kind


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_ended_otherwise_is_an_error(status):
    with pytest.raises(OverloadedError, match=f"the response has {status}"):
        decoded(text("fo"), ended(status))


def test_a_response_that_was_stopped_by_a_policy_is_a_result():
    said = folded(text("fo"), ended("failed", error={"code": "bio_policy", "message": "not this"}))
    assert (said.completion().text, said.finish.reason) == ("fo", "content_filter")
    assert said.finish.notes == ("the host stopped it: not this",)


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_response_that_was_not_streamed_is_read_whole(status):
    shown = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    details = {"reason": "max_output_tokens"} if status == "incomplete" else None
    whole = {"object": "response", "id": "r1", "status": status, "error": None, "incomplete_details": details}
    said = folded(json.dumps({**whole, "output": [shown, SAID]}))
    assert (said.completion().thinking, said.completion().text) == ("hm", "four")
    assert said.finish.reason == ("length" if details else "stop")
    sealed = folded(json.dumps({**whole, "output": [{**THOUGHT, "id": "rs_0"}, THOUGHT, SAID]}))
    assert [json.loads(item.content) for item in sealed.reasoning] == [{**THOUGHT, "id": "rs_0"}, THOUGHT, SAID]


def test_a_text_that_only_an_item_or_the_last_event_holds_is_read_there_and_never_twice():
    done = event("response.output_text.done", **at(1), text="four")
    assert folded(done, ended(output=[SAID])).completion().text == "four"
    assert folded(item_done(SAID, 1), item_done(SAID, 1), ended(output=[SAID])).completion().text == "four"
    assert folded(text("fo"), text("ur"), done, item_done(SAID, 1), ended(output=[SAID])).completion().text == "four"
    assert folded(text("four"), ended(output=[THOUGHT, SAID])).completion().thinking == "hm"


def test_the_items_to_send_back_are_those_that_came_by_themselves():
    others = [{**THOUGHT, "id": "rs_tmp"}, {**SAID, "id": "msg_tmp"}]
    said = folded(text("four"), item_done(THOUGHT, 0), item_done(SAID, 1), ended(output=others))
    assert [json.loads(item.content) for item in said.reasoning] == [THOUGHT, SAID]


def test_an_item_that_ends_after_the_next_one_is_known_by_its_place():
    said = folded(raw("hm"), text("four"), item_done(SAID, 1), item_done(THOUGHT, 0), ended(), host="openrouter")
    assert (said.completion().thinking, said.completion().text) == ("hm", "four")


def test_llama_cpps_events_have_no_place_and_its_whole_texts_repeat_the_partial_answer():
    def said(kind, item, **more):
        return json.dumps({"type": f"response.{kind}", "item_id": item, **more})

    whole = {**SAID, "content": [{"type": "output_text", "text": "It is four"}]}
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "", "content": []}
    frames = [
        json.dumps({"type": "response.created", "response": {"id": "r1", "object": "response"}}),
        said("reasoning_text.delta", "rs_1", delta="hm"),
        said("output_text.delta", "msg_1", delta=" fo"),
        said("output_text.delta", "msg_1", delta="ur"),
        json.dumps({"type": "response.output_item.done", "item": thought}),
        said("output_text.done", "msg_1", text="It is four"),
        json.dumps({"type": "response.output_item.done", "item": whole}),
        ended(output=[thought, whole]),
    ]
    told = folded(*frames, host="llamacpp")
    assert (told.completion().thinking, told.completion().text) == ("hm", " four")
    assert (told.finish.visibility, told.reasoning) == ("full", [])
    assert folded(frames[0], *frames[5:], host="llamacpp").completion().text == ""


def test_a_server_without_a_parser_has_its_thinking_in_band():
    told = folded(text("<think>hm</think>"), text("four"), ended(), host="llamacpp")
    assert (told.completion().thinking, told.completion().text) == ("<think>hm</think>", "four")
    assert folded(text("<think>"), ended()).completion().text == "<think>"


def test_the_kind_of_an_event_may_stand_beside_its_data():
    frames = [text("four"), ended()]
    bare = [json.dumps({name: value for name, value in json.loads(each).items() if name != "type"}) for each in frames]
    decoder, fold = WIRES["openai"].decoder(NAMED), Fold()
    for n, (frame, data) in enumerate(zip(frames, bare, strict=True)):
        for each in decoder.feed(Frame(json.loads(frame)["type"], data), n):
            fold.add(each)
    assert (fold.completion().text, fold.finish.reason) == ("four", "stop")


def test_openrouters_cost_is_what_it_charges_and_nobody_elses_is():
    usage = {"input_tokens": 9, "output_tokens": 7, "cost": 0.25}
    assert folded(text("a"), ended(usage=usage), host="openrouter").usage().dollars == 0.25
    assert folded(text("a"), ended(usage=usage)).usage().dollars is None


def test_what_follows_the_end_or_is_unknown_is_ignored():
    decoder = WIRES["openai"].decoder(NAMED)
    frames = (event("response.mystery", x=1), text("four"), ended(), ended("failed"), text("five"), "[DONE]")
    events = [each for frame in frames for each in decoder.feed(Frame("", frame), 0)]
    assert [*events, *decoder.end()] == [
        ChunkDelta("four", 0),
        UsageUpdate(Usage(prompt_tokens=9, cached_tokens=4, output_tokens=7)),
        Finish("stop", "none", "m1-0001", None, (), "r1"),
    ]


@pytest.mark.parametrize("frames", [(), (text("fo"),), (text("fo"), item_done(SAID, 1)), (text("fo"), "[DONE]")])
def test_a_stream_without_an_end_is_broken(frames):
    with pytest.raises(BrokenStreamError, match="ended before the response did"):
        decoded(*frames)


@pytest.mark.parametrize(
    "frame",
    [
        *("[]", "7", "{", json.dumps({"type": 7}), text(7), text("a", logprobs={}), ended(output={})),
        *(ended(usage=[]), ended(usage={"input_tokens": -1}), event("response.completed", response=[])),
        *(item_done([], 0), ended("failed", error="x"), ended(output=[7]), item_done({"type": []}, 0)),
    ],
)
def test_a_frame_of_another_shape_is_a_broken_stream(frame):
    with pytest.raises(BrokenStreamError):
        decoded(frame)


def test_errors_of_another_status():
    wire = WIRES["openai"]
    said = {"message": "Item 'rs_1' was provided without its required following item.", "type": "invalid_request_error"}
    assert type(wire.failure(400, json.dumps({"error": said}), NAMED)) is ParameterError
    missing = {"message": "The model `m1` does not exist", "code": "model_not_found", "type": "invalid_request_error"}
    assert type(wire.failure(400, json.dumps({"error": missing}), NAMED)) is UnknownModelError
