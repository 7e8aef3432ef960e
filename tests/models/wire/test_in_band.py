"""Thinking between tags in the text: parted from it whatever the pieces are, and nothing lost."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tttlab.events import ChunkDelta, TokenDelta
from tttlab.models.wire.in_band import TAGS, InBand

HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>four"


def parted(pieces, *, opened=False, make=ChunkDelta):
    """The channels' texts, the events and the parter, after these pieces."""
    band = InBand(opened=opened)
    events = []
    for n, text in enumerate(pieces):
        events += band.part(make(text, n))
    events += band.end()
    thinking = "".join(event.text for event in events if event.channel == "thinking")
    answer = "".join(event.text for event in events if event.channel == "answer")
    return thinking, answer, events, band


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>\nhm</think>\n\nfour", "<think>\nhm</think>", "\n\nfour"),
        ("\n <think>hm</think>four", "\n <think>hm</think>", "four"),
        ("<thinking>hm</thinking>four", "<thinking>hm</thinking>", "four"),
        ("[THINK]hm[/THINK]four", "[THINK]hm[/THINK]", "four"),
        (HARMONY, HARMONY[:-4], "four"),
        ("<|channel|>final<|message|>four", "<|channel|>final<|message|>", "four"),
        ("<think>a</think>b<think>c</think>d", "<think>a</think>", "b<think>c</think>d"),
        ("<think>hm [/THINK] </thinking>", "<think>hm [/THINK] </thinking>", ""),
        ("so <think>hm</think>", "", "so <think>hm</think>"),
        ("<thin ice>", "", "<thin ice>"),
        ("<thi", "", "<thi"),
        ("", "", ""),
    ],
)
def test_only_a_block_at_the_start_is_thinking(text, thinking, answer):
    for pieces in ([text], list(text)):
        assert parted(pieces)[:2] == (thinking, answer)


def test_a_block_that_the_template_opened_needs_no_opening_tag():
    thinking, answer, _, band = parted(["hm", " so</thi", "nk>", "four"], opened=True)
    assert (thinking, answer, band.thought) == ("hm so</think>", "four", True)


def test_a_model_that_opens_an_opened_block_again_is_understood():
    assert parted(["<think>hm</think>four"], opened=True)[:2] == ("<think>hm</think>", "four")


def test_a_block_that_never_closes_is_all_thinking_and_a_note_says_so():
    thinking, answer, _, band = parted(["<think>", "hm"])
    assert (thinking, answer, band.thought) == ("<think>hm", "", True)
    assert band.notes == ("the thinking was parted from the text in band, and its closing tag never came",)


def test_an_empty_block_is_no_thinking():
    thinking, answer, _, band = parted(["<think>\n\n", "</think>\n\n", "four"])
    assert (thinking, answer, band.thought) == ("<think>\n\n</think>", "\n\nfour", False)


def test_a_text_without_tags_has_no_note():
    assert parted(["four"])[3].notes == ()


def test_a_closing_tag_alone_is_told():
    assert "came without an opening one" in parted(["hm</th", "ink>four"])[3].notes[0]


def test_a_host_that_gives_the_thinking_apart_has_its_text_left_alone():
    band = InBand()
    band.skip()
    assert [event.channel for event in band.part(ChunkDelta("<think>no</think>", 1))] == ["answer"]
    assert band.notes == ()


def test_tokens_stay_tokens_and_what_follows_a_tag_in_the_same_token_is_a_piece_of_none():
    tokens = ["<think>", "h", "m", "</think>\n", "four"]
    _, _, events, _ = parted(tokens, make=lambda text, n: TokenDelta(text, n, token_id=n, logprob=-1.0))
    assert events == [
        TokenDelta("<think>", 0, 0, -1.0, channel="thinking"),
        TokenDelta("h", 1, 1, -1.0, channel="thinking"),
        TokenDelta("m", 2, 2, -1.0, channel="thinking"),
        TokenDelta("</think>", 3, 3, -1.0, channel="thinking"),
        ChunkDelta("\n", 3, tokens=0),
        TokenDelta("four", 4, 4, -1.0),
    ]


def test_text_is_held_back_only_while_it_may_be_a_tag():
    band = InBand()
    assert list(band.part(ChunkDelta("<th", 1))) == []
    assert [event.text for event in band.part(ChunkDelta("anks", 2))] == ["<th", "anks"]
    assert [event.text for event in band.part(ChunkDelta("<th", 3))] == ["<th"]


MARKS = [mark for tags in TAGS for mark in tags if mark]
TEXTS = st.lists(st.sampled_from([*MARKS, "<", "think", ">", "\n", " ", "é", "a", "<|start|>"]), max_size=8).map(
    "".join
)


@given(text=TEXTS, cuts=st.lists(st.integers(0, 200), max_size=12), opened=st.booleans(), tokens=st.booleans())
@example(text="<think>a</think>b", cuts=[3, 9, 12], opened=False, tokens=True)
def test_any_cut_of_a_text_gives_the_same_channels_and_loses_nothing(text, cuts, opened, tokens):
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    make = TokenDelta if tokens else (lambda piece, n: ChunkDelta(piece, n, tokens=1))
    thinking, answer, events, band = parted(pieces, opened=opened, make=make)
    whole_thinking, whole_answer, _, whole = parted([text], opened=opened)
    assert thinking + answer == text
    assert (thinking, answer, band.thought, band.notes) == (whole_thinking, whole_answer, whole.thought, whole.notes)
    assert sum(1 if isinstance(event, TokenDelta) else event.tokens for event in events) == len(pieces)
