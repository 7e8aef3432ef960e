"""Streams of chat completion chunks, dialect by dialect: what their events are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.wire.chat_chunks import DONE, NAMED, WIRES, chunk, decoded, folded, usage
from tttlab.errors import (
    BrokenStreamError,
    ContextLengthError,
    HostError,
    OverloadedError,
    RateLimitError,
)
from tttlab.events import ChunkDelta, Finish, UsageUpdate
from tttlab.models.wire import Frame, Named
from tttlab.models.wire.openai_chat import OpenAiChat
from tttlab.types import Usage


def test_a_stream_of_pieces():
    events = decoded(
        chunk(role="assistant", content=""),
        chunk(content="fo"),
        chunk(content="ur"),
        chunk(finish="stop"),
        usage(9, 2),
        DONE,
    )
    assert events == [
        ChunkDelta("fo", 1),
        ChunkDelta("ur", 2),
        UsageUpdate(Usage(prompt_tokens=9, output_tokens=2)),
        Finish("stop", "none", "m1-0001", None, (), "r1"),
    ]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thinking_in_a_field_of_its_own_is_full(field):
    said = folded(
        chunk(**{field: "hm "}), chunk(**{field: "so"}), chunk(content="four", **{field: None}), chunk(finish="stop")
    )
    assert (said.completion().thinking, said.completion().text) == ("hm so", "four")
    assert said.finish.visibility == "full"


def test_thinking_that_a_host_sends_in_two_fields_counts_once():
    assert folded(chunk(reasoning="hm", reasoning_content="hm"), chunk(finish="stop")).completion().thinking == "hm"


def test_thinking_that_is_counted_and_not_shown_was_omitted():
    assert folded(chunk(content="four"), chunk(finish="stop"), usage(9, 7, 5), DONE).finish.visibility == "omitted"


def test_in_band_thinking_is_parted_with_a_note_and_a_later_field_is_not_searched():
    parted = folded(
        chunk(content="<thi"), chunk(content="nk>hm</think>four", finish="stop"), wire=OpenAiChat(in_band=True)
    )
    assert (parted.completion().thinking, parted.completion().text) == ("<think>hm</think>", "four")
    assert (parted.finish.visibility, parted.finish.notes[-1]) == (
        "full",
        "the thinking was parted from the text in band",
    )
    apart = folded(
        chunk(reasoning="hm"), chunk(content="<think> is a tag", finish="stop"), wire=OpenAiChat(in_band=True)
    )
    assert apart.completion().text == "<think> is a tag"


def test_a_models_trait_says_that_its_template_opens_the_thinking():
    opened = Named(provider="test", model="m1", traits={"in_band": "opened"})
    assert folded(chunk(content="hm</think>four", finish="stop"), named=opened).completion().text == "four"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        *(("stop", "stop"), ("eos", "stop"), ("length", "length"), ("model_length", "length")),
        *(("content_filter", "content_filter"), ("tool_calls", "tool_call"), ("COMPLETE", "stop")),
    ],
)
def test_reasons_to_end(said, reason):
    finish = folded(chunk(content="a"), chunk(finish=said), DONE).finish
    assert finish.reason == reason
    assert finish.notes == (("the host's reason to end was 'COMPLETE': taken as stop",) if said == "COMPLETE" else ())


@pytest.mark.parametrize("said", ["error", "abort", "insufficient_system_resource"])
def test_a_host_that_gives_up_is_an_error(said):
    with pytest.raises(OverloadedError, match=f"gave up before the completion's end .{said}."):
        decoded(chunk(content="a"), chunk(finish=said), DONE)


def test_a_refusals_text_is_kept():
    said = folded(chunk(refusal="I can"), chunk(refusal="not."), chunk(finish="stop"), DONE)
    assert (said.completion().text, said.completion().finish_reason) == ("I cannot.", "content_filter")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (usage(9, 7, 5, prompt_tokens_details={"cached_tokens": 4}), (9, 4, 7, 5)),
        (usage(9, 7, 5, prompt_cache_hit_tokens=3, prompt_cache_miss_tokens=6), (9, 3, 7, 5)),
        (usage(9, 7, cached_tokens=2), (9, 2, 7, 0)),
        (usage(9, 7, 5, total_tokens=21), (9, 0, 12, 5)),
        (usage(9, 7, 8), (9, 0, 15, 8)),
        (usage(9, 7, reasoning_tokens=5), (9, 0, 7, 5)),
    ],
)
def test_usage_in_every_dialect(said, expected):
    counted = folded(chunk(content="a"), chunk(finish="stop"), said, DONE).usage()
    assert (counted.prompt_tokens, counted.cached_tokens, counted.output_tokens, counted.thinking_tokens) == expected


def test_a_report_that_leaves_out_thinking_that_it_does_not_count_is_put_right_with_a_note():
    said = folded(chunk(reasoning="so " * 100), chunk(content="four"), chunk(finish="stop"), usage(9, 2), DONE)
    assert (said.usage().output_tokens, said.usage().thinking_tokens) == (77, 75)
    assert said.finish.notes == ("the host counts 2 tokens, without its thinking: that was added, by its length",)


def test_groqs_usage_in_an_object_of_its_own():
    last = json.loads(chunk(finish="stop"))
    last["x_groq"] = {"id": "req", "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    assert folded(chunk(content="a"), json.dumps(last), DONE, wire=WIRES["groq"]).usage().tokens == 11


def test_openrouters_cost_is_what_it_charges_and_nobody_elses_is():
    stream = (chunk(content="a"), chunk(finish="stop"), usage(9, 2, cost=0.25), DONE)
    assert folded(*stream, wire=WIRES["openrouter"]).usage().dollars == 0.25
    assert folded(*stream).usage().dollars is None


def detail(kind, index=0, **more):
    return {"type": f"reasoning.{kind}", "index": index, "format": "unknown", **more}


def test_openrouters_details_are_read_once_and_kept_whole_where_they_are_signed():
    said = folded(
        chunk(reasoning="so ", reasoning_details=[detail("text", text="so ", signature="")]),
        chunk(reasoning="far", reasoning_details=[detail("text", text="far")]),
        chunk(reasoning_details=[detail("text", text="", signature="s1")]),
        chunk(content="four", reasoning_details=[detail("text", text="", signature="")]),
        chunk(finish="stop"),
        DONE,
        wire=WIRES["openrouter"],
    )
    assert (said.completion().thinking, said.finish.visibility) == ("so far", "full")
    assert [json.loads(item.content) for item in said.reasoning] == [detail("text", text="so far", signature="s1")]
    assert {item.wire for item in said.reasoning} == {"openrouter_chat"}


def test_openrouters_thinking_without_signatures_or_details():
    unsigned = folded(
        chunk(reasoning="hm", reasoning_details=[detail("text", text="hm")]),
        chunk(finish="stop"),
        wire=WIRES["openrouter"],
    )
    plain = folded(chunk(reasoning="hm"), chunk(finish="stop"), wire=WIRES["openrouter"])
    assert [(each.completion().thinking, each.reasoning) for each in (unsigned, plain)] == [("hm", []), ("hm", [])]


@pytest.mark.parametrize(
    ("details", "visibility"),
    [
        ([detail("summary", summary="hm")], "summary"),
        ([detail("text", text="hm") | {"format": "google-gemini-v1"}], "summary"),
        ([detail("encrypted", data="xyz")], "encrypted"),
        ([detail("summary", summary="hm"), detail("encrypted", data="xyz")], "summary"),
    ],
)
def test_openrouters_visibility_is_that_of_the_details(details, visibility):
    said = folded(chunk(reasoning_details=details), chunk(content="a", finish="stop"), wire=WIRES["openrouter"])
    assert said.finish.visibility == visibility
    assert [json.loads(item.content) for item in said.reasoning] == (details if "data" in details[-1] else [])


def test_mistrals_content_lists():
    def thought(text, **more):
        return chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}])

    said = folded(
        *(chunk(content=""), thought("so "), chunk(content=""), thought("far", closed=True, signature="s1")),
        *(chunk(content=[{"type": "text", "text": "fo"}]), chunk(content="ur"), chunk(finish="stop"), DONE),
        wire=WIRES["mistral"],
    )
    assert (said.completion().thinking, said.completion().text, said.finish.visibility) == ("so far", "four", "full")
    block = {"type": "thinking", "thinking": [{"type": "text", "text": "so far"}], "signature": "s1", "closed": True}
    assert [json.loads(item.content) for item in said.reasoning] == [block]
    assert folded(thought("hm"), chunk(content="a", finish="stop"), wire=WIRES["mistral"]).reasoning == []


def test_what_follows_a_completions_end_is_ignored_but_its_usage():
    said = decoded(
        *(chunk(content="four"), chunk(finish="stop"), chunk(content="four", finish="length"), usage(9, 2)),
        *(DONE, chunk(content="five"), DONE, usage(1, 1)),
    )
    assert said == [
        ChunkDelta("four", 0),
        UsageUpdate(Usage(prompt_tokens=9, output_tokens=2)),
        Finish("stop", "none", "m1-0001", None, (), "r1"),
    ]


@pytest.mark.parametrize(
    "frames", [(), (chunk(content="fo"),), (chunk(content="fo"), DONE), (chunk(content="a"), usage(9, 1))]
)
def test_a_stream_without_an_end_is_broken(frames):
    with pytest.raises(BrokenStreamError, match="ended before the completion did"):
        decoded(*frames)


def test_an_answer_that_was_not_streamed_is_read_too():
    message = {"role": "assistant", "content": "four", "reasoning": "hm"}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    said = folded(json.dumps(whole))
    assert (said.completion().thinking, said.completion().text, said.completion().notes) == ("hm", "four", ())


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (
            {"error": {"code": 429, "message": "slow down"}, "choices": [{"finish_reason": "error", "delta": {}}]},
            RateLimitError,
        ),
        ({"error": {"code": 502, "message": "upstream failed"}}, OverloadedError),
        ({"object": "error", "message": "it broke", "code": 500}, OverloadedError),
        ({"error": "it broke"}, HostError),
        ({"error": {"type": "exceed_context_size_error", "message": "too long"}}, ContextLengthError),
    ],
)
def test_an_error_inside_a_stream(frame, kind):
    with pytest.raises(kind, match=r"slow down|upstream failed|it broke|too long"):
        decoded(chunk(content="fo"), json.dumps(frame), wire=WIRES["llamacpp"])


def test_the_error_of_another_status():
    body = '{"error":{"code":400,"message":"request (5031 tokens) exceeds","type":"exceed_context_size_error"}}'
    assert isinstance(WIRES["llamacpp"].failure(400, body, NAMED), ContextLengthError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "choices",
                        "delta",
                        "index",
                        "content",
                        "reasoning",
                        "reasoning_details",
                        "finish_reason",
                        "usage",
                    ),
                    *("logprobs", "token", "logprob", "top_logprobs", "token_ids", "type", "thinking", "text", "error"),
                    *(
                        "prompt_tokens",
                        "completion_tokens",
                        "completion_tokens_details",
                        "x_groq",
                        "cost",
                        "bytes",
                        "id",
                    ),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    bodies=st.lists(
        JSON | st.fixed_dictionaries({"choices": st.lists(st.fixed_dictionaries({"delta": JSON}))}), max_size=3
    )
)
def test_any_json_gives_events_or_a_hosts_error(bodies):
    for name in ("mistral", "openrouter", "groq", "vllm-completions"):
        try:
            decoded(*map(json.dumps, bodies), chunk(finish="stop"), DONE, wire=WIRES[name])
        except HostError:
            continue


def test_many_completions_come_mixed_and_share_one_report():
    decoder = OpenAiChat().choices_decoder(NAMED, 2, ("a note",))
    frames = [
        *(chunk(1, content="six " * 2), chunk(0, content="fo"), chunk(0, content="ur"), chunk(5, content="nobody's")),
        *(chunk(0, "stop"), chunk(1, "length"), usage(9, 8, 0), DONE),
    ]
    events = [event for n, frame in enumerate(frames) for event in decoder.feed(Frame("", frame), n)]
    events += decoder.end()
    assert events == [
        *((1, ChunkDelta("six six ", 0)), (0, ChunkDelta("fo", 1)), (0, ChunkDelta("ur", 2))),
        (0, UsageUpdate(Usage(prompt_tokens=9, output_tokens=4))),
        (0, Finish("stop", "none", "m1-0001", None, ("a note",), "r1")),
        (1, UsageUpdate(Usage(output_tokens=4))),
        (1, Finish("length", "none", "m1-0001", None, ("a note",), "r1")),
    ]


def test_a_server_that_reports_each_completion_is_taken_at_its_word():
    decoder = WIRES["llamacpp"].choices_decoder(NAMED, 2)
    frames = [
        chunk(1, content="a"),
        chunk(1, "stop"),
        usage(9, 3),
        chunk(0, content="b"),
        chunk(0, "stop"),
        usage(9, 5),
        DONE,
    ]
    events = [event for frame in frames for event in decoder.feed(Frame("", frame), 1)]
    reports = {index: event.usage for index, event in events if isinstance(event, UsageUpdate)}
    assert reports == {0: Usage(prompt_tokens=9, output_tokens=5), 1: Usage(output_tokens=3)}


def test_many_completions_of_which_one_is_cut_are_broken():
    decoder = OpenAiChat().choices_decoder(NAMED, 2)
    decoder.feed(Frame("", chunk(0, "stop")), 1)
    with pytest.raises(BrokenStreamError):
        decoder.end()
