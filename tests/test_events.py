from tttlab.events import Alternatives, ChunkDelta, Finish, Fold, TokenDelta, UsageUpdate
from tttlab.types import Price, Usage


def folded(*events):
    fold = Fold()
    for event in events:
        fold.add(event)
    return fold


def test_a_stream_becomes_a_completion_with_thinking_apart():
    top = Alternatives((5,), ("5",), (-0.1,))
    completion = folded(
        TokenDelta("hm", 1, 7, -2.0, channel="thinking"),
        TokenDelta("5", 2, 5, -0.5, top),
        Finish("stop", "full", "served"),
    ).completion()
    assert (completion.thinking, completion.text, completion.finish_reason) == ("hm", "5", "stop")
    assert (completion.usage.output_tokens, completion.usage.thinking_tokens) == (2, 1)
    assert completion.mean_logprob == -1.25
    assert completion.tokens[1].top == top
    assert (completion.visibility, completion.served_model) == ("full", "served")


def test_a_stream_without_its_end_was_cut():
    assert folded(TokenDelta("a", 1)).completion().finish_reason == "cancelled"


def test_the_hosts_count_replaces_ours_where_it_is_larger():
    hidden = folded(
        ChunkDelta("5", 1), UsageUpdate(Usage(prompt_tokens=9, cached_tokens=4, output_tokens=80, thinking_tokens=79))
    )
    assert hidden.usage() == Usage(
        prompt_tokens=9, cached_tokens=4, output_tokens=80, thinking_tokens=79, calls=1, dollars=None
    )
    early = folded(UsageUpdate(Usage(prompt_tokens=9)), TokenDelta("a", 1), TokenDelta("b", 2))
    assert early.usage().output_tokens == 2


def test_dollars_come_from_a_price_and_are_unknown_without_one():
    fold = folded(
        UsageUpdate(Usage(prompt_tokens=1_000_000, cached_tokens=500_000)), ChunkDelta("x", 1, tokens=1_000_000)
    )
    assert fold.usage().dollars is None
    assert fold.usage(Price(prompt=1.0, output=10.0, cached=0.1)).dollars == 0.5 + 0.05 + 10.0
    assert fold.usage(Price(prompt=1.0, output=10.0)).dollars == 11.0


def test_no_logprobs_is_none_and_not_zero():
    assert folded(TokenDelta("a", 1), Finish("stop")).completion().mean_logprob is None
