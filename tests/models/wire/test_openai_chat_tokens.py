"""Tokens in streams of chat completion chunks: their entries, laid over the text that was sent."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.models.wire.chat_chunks import DONE, WIRES, chunk, decoded, entry, folded, logprobs, usage
from tttlab.events import Alternatives, ChunkDelta, Finish, TokenDelta
from tttlab.models.wire.openai_completions import OpenAiCompletions


def test_tokens_with_log_probabilities():
    one = entry("fo", -0.1, (("fo", -0.1), ("six", -2.5)))
    two = entry("ur", -0.2, (("x", -3.0), ("ur", -0.2)))
    events = decoded(chunk(content="four", choice=logprobs(one, two)), chunk(finish="stop"), wire=WIRES["vllm"])
    assert events == [
        TokenDelta("fo", 0, None, -0.1, Alternatives((None, None), ("fo", "six"), (-0.1, -2.5))),
        TokenDelta("ur", 0, None, -0.2, Alternatives((None, None), ("ur", "x"), (-0.2, -3.0))),
        Finish(
            "stop",
            "none",
            "m1-0001",
            "before_sampling",
            ("the stream ended without [DONE], after its completion",),
            "r1",
        ),
    ]


def test_vllms_token_ids_with_and_without_log_probabilities():
    events = decoded(
        chunk(reasoning="hm", choice={"token_ids": [7]}),
        chunk(content="fo", choice={"token_ids": [8], **logprobs(entry("fo"))}),
        chunk(content="ur!", choice={"token_ids": [9, 10]}),
        chunk(finish="stop", choice={"token_ids": [2]}),
        wire=WIRES["vllm"],
    )
    assert events[:-1] == [
        TokenDelta("hm", 0, 7, channel="thinking"),
        TokenDelta("fo", 1, 8, -0.5),
        ChunkDelta("ur!", 2, tokens=2),
        TokenDelta("", 3, 2),
    ]


def test_togethers_token_ids():
    choice = {"text": "fo"}
    assert decoded(chunk(content="fo", token_id=8, choice=choice), chunk(finish="eos"))[0] == TokenDelta("fo", 0, 8)


def test_llama_cpp_merges_tokens_and_says_so_only_by_its_alternatives():
    joined = entry("漢", top=(("\ufffd", -0.5),), id=112)
    joined["top_logprobs"][0]["id"] = 112
    plain = entry("a", top=(("a", -0.5),), id=5)
    plain["top_logprobs"][0]["id"] = 5
    tokens = decoded(
        chunk(content="漢", choice=logprobs(joined)), chunk(content="a", choice=logprobs(plain)), chunk(finish="stop")
    )
    assert [(token.text, token.token_id, token.merged) for token in tokens[:2]] == [("漢", 112, True), ("a", 5, False)]


def test_a_character_of_several_tokens_stands_where_the_last_of_them_came():
    parts = [entry("bytes:", bytes=[226, 128]), entry("bytes:", bytes=[148])]
    events = decoded(
        chunk(content="", choice=logprobs(parts[0])),
        chunk(content="—", choice=logprobs(parts[1])),
        chunk(content="a", choice=logprobs(entry("a"))),
        chunk(finish="stop"),
    )
    assert [(type(event), event.text) for event in events[:-1]] == [
        (TokenDelta, ""),
        (TokenDelta, "—"),
        (TokenDelta, "a"),
    ]


def test_tokens_of_tags_that_the_host_took_out_are_kept_without_text():
    events = decoded(
        chunk(reasoning="hm", choice=logprobs(entry("<think>"), entry("hm"))),
        chunk(content="four", choice=logprobs(entry("</think>"), entry("\n"), entry("four"))),
        chunk(finish="stop"),
    )
    texts = [(event.text, event.channel) for event in events[:-1]]
    assert texts == [("", "thinking"), ("hm", "thinking"), ("", "thinking"), ("", "thinking"), ("four", "answer")]


def test_ollamas_log_probabilities_of_a_split_chunk_reach_the_text_that_comes_later():
    events = decoded(
        chunk(reasoning="hm", choice=logprobs(entry("hm"), entry("</think>"), entry("fo"))),
        chunk(content="fo"),
        chunk(content="ur", choice=logprobs(entry("ur"))),
        chunk(finish="stop"),
    )
    texts = [(type(event).__name__, event.text, event.channel) for event in events[:-1]]
    assert texts == [
        ("TokenDelta", "hm", "thinking"),
        ("TokenDelta", "", "thinking"),
        ("TokenDelta", "fo", "answer"),
        ("TokenDelta", "ur", "answer"),
    ]


def test_text_that_no_entry_covers_is_a_piece():
    events = decoded(chunk(content="well, four", choice=logprobs(entry("four"))), chunk(finish="stop"))
    assert events[:-1] == [ChunkDelta("well, ", 0), TokenDelta("four", 0, None, -0.5)]


def test_an_entry_waits_for_text_that_the_host_still_holds_back():
    events = decoded(
        chunk(content="well, ", choice=logprobs(entry("four"))), chunk(content="four"), chunk(finish="stop")
    )
    assert events[:-1] == [ChunkDelta("well, ", 0), TokenDelta("four", 0, None, -0.5)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "ab", "—", "ba b"]),
            st.sampled_from(["", "a", "b", "aab"]),
            st.lists(st.sampled_from(["a", "b", "ab", "\ufffd", "", "—", "</think>"]), max_size=4),
        ),
        max_size=8,
    )
)
def test_whatever_the_entries_are_the_text_is_what_was_sent_and_no_entry_is_lost(frames):
    chunks = [chunk(reasoning=t, content=a, choice=logprobs(*map(entry, entries))) for t, a, entries in frames]
    said = folded(*chunks, chunk(finish="stop"), usage(1, 1), DONE)
    assert said.completion().thinking == "".join(thinking for thinking, _, _ in frames)
    assert said.completion().text == "".join(answer for _, answer, _ in frames)
    assert len(said.tokens) == sum(len(entries) for _, _, entries in frames)


def test_plain_completions_of_llama_cpp_and_of_vllm():
    def plain(text, finish=None, **more):
        return json.dumps({"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]})

    columns = {
        "tokens": ["fo"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"six": -1.0, "fo": -0.5}],
        "text_offset": [0],
    }
    events = decoded(
        plain("fo", logprobs=columns, token_ids=[8]),
        plain("ur", logprobs={"content": [entry("ur", id=9)]}),
        plain("", "length"),
        wire=OpenAiCompletions(),
    )
    assert events[:2] == [
        TokenDelta("fo", 0, 8, -0.5, Alternatives((None, None), ("fo", "six"), (-0.5, -1.0))),
        TokenDelta("ur", 1, 9, -0.5),
    ]
