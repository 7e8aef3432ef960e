from tttlab.events import Alternatives, ChunkDelta, Finish, Fold, TokenDelta, UsageUpdate
from tttlab.types import Price, ReasoningItem, Usage


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


def test_pieces_of_unknown_size_are_estimated_until_the_host_counts_them():
    shown = [ChunkDelta("twelve bytes", 1, "thinking"), ChunkDelta("日本", 2)]
    fold = folded(*shown)
    assert (fold.output_tokens, fold.thinking_tokens, fold.estimated) == (3 + 2, 3, True)
    fold.add(UsageUpdate(Usage(output_tokens=4, thinking_tokens=1)))
    assert (fold.output_tokens, fold.thinking_tokens, fold.estimated) == (4, 1, False)


def test_thinking_that_the_host_shows_and_does_not_count_stays_an_estimate():
    fold = folded(ChunkDelta("twelve bytes", 1, "thinking"), UsageUpdate(Usage(output_tokens=2)))
    assert (fold.output_tokens, fold.thinking_tokens, fold.estimated) == (2, 2, True)


def test_what_the_host_charges_goes_before_a_price():
    fold = folded(UsageUpdate(Usage(prompt_tokens=10, output_tokens=10), dollars=0.25))
    assert fold.usage(Price(prompt=1.0, output=1.0)).dollars == 0.25


def test_what_a_provider_wants_back_is_kept():
    item = ReasoningItem("anthropic_messages", '{"type":"thinking","signature":"x"}')
    assert folded(item, ChunkDelta("5", 1), Finish("stop")).completion().reasoning == (item,)
