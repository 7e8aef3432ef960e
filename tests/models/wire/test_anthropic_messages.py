"""Anthropic's Messages: what is asked of each family of models, and what a stream of blocks says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tttlab.errors import (
    BrokenStreamError,
    ContextLengthError,
    CredentialError,
    OverloadedError,
    ParameterError,
    RateLimitError,
    UnknownModelError,
)
from tttlab.events import ChunkDelta, Finish, Fold, UsageUpdate
from tttlab.models.fitting import fitted
from tttlab.models.hosts.anthropic import HOSTS
from tttlab.models.wire import Encoded, Frame, Named
from tttlab.types import Capabilities, Message, ReasoningItem, Request, Sampling, Usage

BY_NAME = {host.name: host for host in HOSTS}
ASKED = (Message("system", "be brief"), Message("user", "2+2?"))
FAMILIES = (
    *("claude-3-haiku-20240307", "claude-3-7-sonnet-latest", "claude-sonnet-4-20250514", "claude-opus-4-1"),
    *("claude-opus-4-5", "claude-haiku-4-5-20251001", "claude-sonnet-4-6", "claude-opus-4-8"),
    *("claude-mythos-preview", "claude-opus-5", "claude-sonnet-5", "claude-opus-5-5", "claude-fable-5-1"),
    *("claude-sonnet-5-5", "claude-haiku-5-5"),
)


def who(model: str, host: str = "anthropic") -> Named:
    row = BY_NAME[host]
    return Named(provider=row.provider, model=model, can=row.abilities(model), traits=row.row(model).traits)


def encoded(
    model: str,
    messages: tuple[Message, ...] = ASKED,
    *,
    host: str = "anthropic",
    cap: int | None = None,
    **options: Any,
) -> Encoded:
    """What is sent, as it is asked: what `fitting` would refuse first is the format's to refuse too."""
    request = Request(messages=messages, sampling=Sampling(**options), cap=cap)
    return BY_NAME[host].wire.encode(request, who(model, host))


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "usage": usage}}


def block(index: int, kind: str, *deltas: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def thought(index: int, *texts: str, signature: str = "s1g=") -> list[dict[str, Any]]:
    said = [{"type": "thinking_delta", "thinking": text} for text in texts]
    signed = [{"type": "signature_delta", "signature": signature}] if signature else []
    return block(index, "thinking", *said, *signed, thinking="", signature="")


def text(index: int, *texts: str) -> list[dict[str, Any]]:
    return block(index, "text", *({"type": "text_delta", "text": each} for each in texts), text="")


def stop(reason: str | None = "end_turn", *, details: Any = None, **usage: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None, "stop_details": details}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


def decoded(*objects: dict[str, Any], host: str = "anthropic", model: str = "claude-x") -> list[Any]:
    """The events of a stream; the n-th frame comes at n nanoseconds."""
    decoder = BY_NAME[host].wire.decoder(who(model, host), ("noted",))
    frames = [Frame(each["type"], json.dumps(each)) for each in objects]
    events = [event for n, frame in enumerate(frames) for event in decoder.feed(frame, n)]
    return [*events, *decoder.end()]


def folded(*objects: dict[str, Any], **how: Any) -> Fold:
    fold = Fold()
    for event in decoded(*objects, **how):
        fold.add(event)
    return fold


def test_a_request_of_an_older_model_that_does_not_think():
    sent = encoded("claude-3-haiku-20240307", max_tokens=10, temperature=0.5, top_k=40, stop=("END",))
    assert sent == Encoded(
        path="/v1/messages",
        headers={"anthropic-version": "2023-06-01"},
        body={
            "model": "claude-3-haiku-20240307",
            "messages": [{"role": "user", "content": "2+2?"}],
            "stream": True,
            "system": "be brief",
            "max_tokens": 10,
            "temperature": 0.5,
            "top_k": 40,
            "stop_sequences": ["END"],
        },
    )
    assert encoded("claude-3-haiku-20240307", top_p=0.9).body["top_p"] == 0.9


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-3-haiku-20240307", None),
        ("claude-3-7-sonnet-latest", {"type": "enabled", "budget_tokens": 8192}),
        ("claude-sonnet-4-20250514", {"type": "enabled", "budget_tokens": 8192}),
        ("claude-opus-4-5-20251101", {"type": "enabled", "budget_tokens": 8192, "display": "summarized"}),
        *(
            (model, {"type": "adaptive", "display": "summarized"})
            for model in (
                "claude-opus-4-6",
                "claude-opus-4-7",
                "claude-sonnet-5",
                "claude-opus-5-5",
                "claude-haiku-5-5",
            )
        ),
    ],
)
def test_thinking_is_asked_for_as_each_family_has_it(model, thinking):
    assert encoded(model).body.get("thinking") == thinking
    assert encoded(model).body["max_tokens"] == 512 + (8192 if thinking else 0)


def test_a_model_that_thinks_is_sent_no_temperature_and_nothing_that_truncates():
    for model in FAMILIES[1:]:
        sent = encoded(model, temperature=0.3, top_p=0.5, top_k=3, stop=("END",)).body
        assert not {"temperature", "top_p", "top_k", "min_p"} & set(sent)
        assert sent["stop_sequences"] == ["END"]


def test_a_budget_is_sent_where_there_are_budgets_and_refused_where_there_are_none():
    sent = encoded("claude-opus-4-6", thinking_budget=2000, max_tokens=100).body
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}
    assert sent["max_tokens"] == 2100
    with pytest.raises(ParameterError, match="a budget of 1024 tokens at least, or of 0"):
        encoded("claude-opus-4-5", thinking_budget=1023)
    for model in ("claude-opus-4-7", "claude-opus-5", "claude-fable-5"):
        with pytest.raises(ParameterError, match="cannot hold its thinking"):
            encoded(model, thinking_budget=2000)
        with pytest.raises(ParameterError, match="cannot hold its thinking"):
            fitted(Request(messages=ASKED, sampling=Sampling(thinking_budget=2000)), who(model))


def test_a_budget_of_0_turns_thinking_off_where_it_can_be():
    for model in (
        "claude-3-7-sonnet-latest",
        "claude-opus-4-5",
        "claude-opus-4-6",
        "claude-opus-4-8",
        "claude-sonnet-5",
    ):
        assert encoded(model, thinking_budget=0).body["thinking"] == {"type": "disabled"}
        assert encoded(model, thinking_budget=0).body["max_tokens"] == 512
    for model in ("claude-mythos-preview", "claude-opus-5-5", "claude-fable-5-1", "claude-mythos-5"):
        with pytest.raises(ParameterError, match="cannot be turned off"):
            encoded(model, thinking_budget=0)


def test_a_runs_budget_leaves_a_smaller_budget_of_thinking_and_at_last_none():
    assert encoded("claude-opus-4-5", cap=3000).body["thinking"]["budget_tokens"] == 2999
    assert encoded("claude-opus-4-5", cap=1025).body["thinking"]["budget_tokens"] == 1024
    last = encoded("claude-opus-4-5", cap=1024)
    assert (last.body["thinking"], last.body["max_tokens"]) == ({"type": "disabled"}, 512)
    assert last.notes == ("it did not think: 1024 tokens are left, and thinking takes more",)
    less = encoded("claude-opus-4-6", cap=3000, thinking_budget=4000)
    assert less.notes == ("a thinking_budget of 2999 was sent for 4000: 3000 tokens are left",)
    always = encoded("claude-mythos-preview", cap=1000, thinking_budget=4000)
    assert always.body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert always.notes == (
        "its thinking was not held to 4000 tokens, since 1000 tokens are left and it takes no less than 1024",
    )


def test_levels_of_effort_are_those_of_the_family():
    assert encoded("claude-opus-5", effort="xhigh").body["output_config"] == {"effort": "xhigh"}
    every = ("low", "medium", "high", "xhigh", "max")
    for model, levels in {
        "claude-3-haiku-20240307": (),
        "claude-haiku-4-5": ("none",),
        "claude-opus-4-5": ("none", "low", "medium", "high"),
        "claude-opus-4-6": ("none", "low", "medium", "high", "max"),
        "claude-opus-4-7": ("none", *every),
        "claude-opus-5": ("none", *every),
        "claude-haiku-5-5": ("none", *every),
        "claude-sonnet-5-5": ("none", *every),
        "claude-mythos-preview": ("low", "medium", "high", "max"),
        **dict.fromkeys(("claude-opus-5-5", "claude-fable-5", "claude-mythos-5-2", "claude-next-9"), every),
    }.items():
        assert who(model).can.effort == levels


def test_an_effort_of_none_turns_thinking_off_and_older_models_are_sampled_as_they_are_told():
    sent = encoded("claude-sonnet-5-5", effort="none", temperature=0.2)
    assert sent.body["thinking"] == {"type": "between_tools"}
    assert not {"output_config", "temperature"} & set(sent.body)
    assert (sent.body["max_tokens"], sent.headers) == (512, {"anthropic-version": "2026-10-21"})
    for model in ("claude-haiku-4-5", "claude-opus-4-6"):
        asked = Request(messages=ASKED, sampling=Sampling(effort="none", temperature=0.2, top_k=7))
        fit = fitted(asked, who(model))
        sent = BY_NAME["anthropic"].wire.encode(fit.request, who(model))
        assert (sent.body["thinking"], sent.body["temperature"], sent.body["top_k"]) == ({"type": "disabled"}, 0.2, 7)
        assert (fit.notes, sent.notes) == ((), ())
        assert sent.headers == {"anthropic-version": "2023-06-01"}


def test_a_model_of_which_is_said_that_it_does_not_think_is_kept_from_it_where_it_can_be():
    wire = BY_NAME["anthropic"].wire
    for model, thinking in (("claude-opus-5", {"type": "disabled"}), ("claude-opus-5-5", None)):
        named = replace(who(model), can=Capabilities(takes=()))
        sent = wire.encode(Request(messages=ASKED), named).body
        assert (sent.get("thinking"), sent["max_tokens"]) == (thinking, 512)


@pytest.mark.parametrize(
    ("said", "asked"),
    [("seed", {"seed": 0}), ("min_p", {"min_p": 0.1}), ("grammar", {"grammar": 'root ::= "4"'})],
)
def test_what_the_format_cannot_express_is_refused(said, asked):
    request = Request(messages=ASKED, sampling=Sampling(**{n: v for n, v in asked.items() if n != "seed"}))
    request = replace(request, seed=asked.get("seed"))
    with pytest.raises(ParameterError, match=f"no place for {said}"):
        BY_NAME["anthropic"].wire.encode(request, who("claude-3-haiku-20240307"))


def test_a_partial_answer_is_gone_on_from_by_older_models_and_local_servers_alone():
    turns = (*ASKED, Message("assistant", "It is"))
    assert encoded("claude-3-haiku-20240307", turns).body["messages"][-1] == {"role": "assistant", "content": "It is"}
    able = [model for model in FAMILIES if who(model).can.prefix]
    assert able == ["claude-3-haiku-20240307"]
    assert who("m1", "llamacpp-messages").can.prefix


def test_system_messages_go_before_all_turns():
    sent = encoded("claude-opus-5", (*ASKED, Message("system", "and kind")))
    assert sent.body["system"] == "be brief\n\nand kind"
    assert sent.notes == (
        "a system message that stood between the turns was sent before them all: the host has one place for it",
    )
    with pytest.raises(ParameterError, match="without a turn of the user's"):
        encoded("claude-opus-5", ASKED[:1])


def test_a_local_server_is_told_not_to_truncate_and_knows_no_thinking_parameter():
    sent = encoded("qwen3-8b", host="llamacpp-messages").body
    assert (sent["top_p"], sent["top_k"]) == (1.0, 0)
    assert "thinking" not in sent
    assert sent["max_tokens"] == 512 + 8192


def test_a_stream_of_thinking_and_text():
    events = decoded(
        start(input_tokens=5, cache_creation_input_tokens=3, cache_read_input_tokens=2, output_tokens=1),
        {"type": "ping"},
        *thought(0, "hm ", "so"),
        *text(1, "fo", "ur"),
        {"type": "of_tomorrow", "index": 9},
        *stop(output_tokens=9, output_tokens_details={"thinking_tokens": 6}),
    )
    assert events == [
        UsageUpdate(Usage(prompt_tokens=10, cached_tokens=2)),
        ChunkDelta("hm ", 3, "thinking"),
        ChunkDelta("so", 4, "thinking"),
        ReasoningItem("anthropic_messages", '{"type":"thinking","thinking":"hm so","signature":"s1g="}'),
        ChunkDelta("fo", 8),
        ChunkDelta("ur", 9),
        UsageUpdate(Usage(prompt_tokens=10, cached_tokens=2, output_tokens=9, thinking_tokens=6)),
        Finish("stop", "summary", "claude-x", None, ("noted",), "msg_1"),
    ]


@pytest.mark.parametrize(
    ("blocks", "thinking_tokens", "visibility"),
    [
        (text(0, "four"), 0, "none"),
        (text(0, "four"), 6, "omitted"),
        (block(0, "fallback"), 0, "none"),
        ([*thought(0), *text(1, "four")], 0, "omitted"),
        ([*block(0, "redacted_thinking", data="Zm9v"), *text(1, "four")], 0, "encrypted"),
        ([*thought(0, "hm"), *block(1, "redacted_thinking", data="Zm9v")], 0, "summary"),
    ],
)
def test_what_is_shown_of_thinking_is_told_from_what_came(blocks, thinking_tokens, visibility):
    said = folded(*blocks, *stop(output_tokens=9, output_tokens_details={"thinking_tokens": thinking_tokens}))
    assert said.finish.visibility == visibility


def test_who_shows_thinking_itself():
    shown = [*thought(0, "hm", signature=""), *stop()]
    assert folded(*shown, model="claude-3-7-sonnet-latest").finish.visibility == "full"
    local = folded(*shown, host="llamacpp-messages")
    assert (local.finish.visibility, local.reasoning) == ("full", [])
    tagged = folded(*text(0, "<think>hm</think>", "four"), *stop(), host="vllm-messages")
    assert (tagged.completion().text, tagged.finish.visibility) == ("four", "full")
    assert tagged.finish.notes == ("noted", "the thinking was parted from the text in band")
    apart = folded(*thought(0, "hm", signature=""), *text(1, "<think>four"), *stop(), host="vllm-messages")
    assert (apart.completion().thinking, apart.completion().text) == ("hm", "<think>four")
    assert folded(*text(0, "<thi"), *stop(), host="vllm-messages").completion().text == "<thi"


def test_sealed_thinking_goes_back_in_place():
    first = folded(
        *text(0, "\n\n"),
        *thought(1, "hm", signature="a" * 9),
        *text(2, "It is ", "four."),
        *block(3, "redacted_thinking", data="Zm9v/+=="),
        *thought(4, signature="b"),
        *text(5, " Yes."),
        *stop(),
    ).completion()
    assert first.text == "\n\nIt is four. Yes."
    foreign = ReasoningItem("gemini", "{}")
    turns = (*ASKED, Message("assistant", first.text, (*first.reasoning, foreign)), Message("user", "sure?"))
    sent = encoded("claude-opus-5", turns)
    assert sent.body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "a" * 9},
        {"type": "text", "text": "\n\nIt is four."},
        {"type": "redacted_thinking", "data": "Zm9v/+=="},
        {"type": "thinking", "thinking": "", "signature": "b"},
        {"type": "text", "text": " Yes."},
    ]
    assert sent.notes == (
        "thinking that another kind of host had sealed was not sent back: only that kind can read it",
    )


def test_sealed_thinking_whose_place_is_gone_is_not_sent_back():
    first = folded(*text(0, "It is "), *thought(1, "hm"), *text(2, "four. "), *stop()).completion()
    kept = encoded("claude-opus-5", (*ASKED, Message("assistant", "It is ", first.reasoning), ASKED[1]))
    assert [block["type"] for block in kept.body["messages"][1]["content"]] == ["text", "thinking"]
    spaced = encoded("claude-opus-5", (*ASKED, Message("assistant", "It is \n", first.reasoning), ASKED[1]))
    assert spaced.body["messages"][1]["content"] == kept.body["messages"][1]["content"]
    cut = encoded("claude-opus-5", (*ASKED, Message("assistant", "It", first.reasoning), ASKED[1]))
    assert cut.body["messages"][1] == {"role": "assistant", "content": "It"}
    assert cut.notes == (
        "sealed thinking was not sent back: its host takes it only in its place in the very text that it led to",
    )


def test_a_block_that_is_not_ended_is_kept_all_the_same():
    said = folded(*thought(0, "hm")[:-1], *stop())
    assert [json.loads(item.content)["signature"] for item in said.reasoning] == ["s1g="]


def test_the_last_report_may_leave_out_what_the_first_has_told_or_repeat_it():
    begun = start(input_tokens=5, cache_read_input_tokens=2)
    for more in ({}, {"input_tokens": None}, {"input_tokens": 5, "cache_read_input_tokens": 2}):
        used = folded(begun, *text(0, "four"), *stop(output_tokens=9, **more)).usage()
        assert (used.prompt_tokens, used.cached_tokens, used.output_tokens) == (7, 2, 9)
    again = folded(begun, stop()[0], {"type": "message_delta", "delta": {}}, {"type": "message_stop"})
    assert again.finish.notes == ("noted",)


@pytest.mark.parametrize(
    "content", ["{", "[]", "3", '{"at":-1,"block":{}}', '{"at":true,"block":{}}', '{"at":1,"block":3}']
)
def test_sealed_thinking_that_is_not_the_hosts_is_refused(content):
    turns = (Message("assistant", "x", (ReasoningItem("anthropic_messages", content),)), Message("user", "y"))
    with pytest.raises(ParameterError, match="not what the host gave"):
        encoded("claude-opus-5", turns)


@pytest.mark.parametrize(
    ("said", "reason", "note"),
    [
        ("end_turn", "stop", ()),
        ("stop_sequence", "stop", ()),
        ("max_tokens", "length", ()),
        ("tool_use", "tool_call", ()),
        ("model_context_window_exceeded", "length", ("the answer ended where the model's context was full",)),
        ("pause_turn", "stop", ("the host's reason to end was 'pause_turn': taken as stop",)),
        (None, "stop", ("the host gave no reason to end: taken as stop",)),
    ],
)
def test_reasons_to_end(said, reason, note):
    finish = folded(*text(0, "four"), *stop(said)).finish
    assert (finish.reason, finish.notes) == (reason, ("noted", *note))


def test_a_refusal_is_a_result_and_its_text_is_kept():
    details = {"type": "refusal", "category": "bio", "explanation": "not\nthis"}
    said = folded(*text(0, "I will"), *stop("refusal", details=details))
    assert (said.completion().text, said.completion().finish_reason) == ("I will", "content_filter")
    assert said.finish.notes[-1] == "the host refused: bio: not this"
    long = folded(*stop("refusal", details={"explanation": "no " * 999})).finish.notes[-1]
    assert len(long) < 330


def test_an_error_inside_a_stream_is_that_error():
    for kind, error in (("overloaded_error", OverloadedError), ("rate_limit_error", RateLimitError)):
        with pytest.raises(error, match="no luck"):
            decoded(start(), *text(0, "fo"), {"type": "error", "error": {"type": kind, "message": "no luck"}})


def test_a_stream_that_ends_early_is_broken_and_what_follows_its_end_is_ignored():
    with pytest.raises(BrokenStreamError, match="before the message did"):
        decoded(start(), *text(0, "four"), stop()[0])
    events = decoded(*text(0, "four"), *stop(), *text(1, "five"), *stop())
    assert [event for event in events if isinstance(event, ChunkDelta | Finish)][1:] == [events[-1]]


def test_that_another_model_answered_is_told():
    finish = folded(*text(0, "fo"), *block(1, "fallback"), *text(2, "ur"), *stop()).finish
    assert finish.notes[-1] == "another model than the one that was asked answered some of it (a fallback)"


def test_a_message_that_comes_whole():
    content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "four"}]
    usage = {"input_tokens": 7, "output_tokens": 3}
    whole = {"type": "message", "id": "m", "content": content, "stop_reason": "max_tokens", "usage": usage}
    said = folded(whole).completion()
    assert (said.thinking, said.text, said.finish_reason) == ("hm", "four", "length")
    assert json.loads(said.reasoning[0].content) == content[0]
    assert (said.usage.prompt_tokens, said.usage.output_tokens, len(said.reasoning)) == (7, 3, 1)


@pytest.mark.parametrize(
    ("status", "kind", "message", "error"),
    [
        (401, "authentication_error", "invalid x-api-key", CredentialError),
        (404, "not_found_error", "model: claude-9", UnknownModelError),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextLengthError),
        (400, "invalid_request_error", "temperature: Extra inputs are not permitted", ParameterError),
        (429, "rate_limit_error", "slow down", RateLimitError),
        (529, "overloaded_error", "Overloaded", OverloadedError),
    ],
)
def test_failures(status, kind, message, error):
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
    failure = BY_NAME["anthropic"].wire.failure(status, body, who("claude-opus-5"))
    assert (type(failure), failure.status, failure.said) == (error, status, message)


def listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: listed(each) for name, each in value.items()}
    return value if isinstance(value, str | int | float | None) else [listed(each) for each in value]


@pytest.mark.parametrize("model", FAMILIES)
def test_requests_are_those_of_the_vendors_sdk(model):
    params = pytest.importorskip("anthropic.types.message_create_params")
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(params.MessageCreateParamsStreaming)
    signed = ReasoningItem("anthropic_messages", '{"type":"thinking","thinking":"hm","signature":"s"}')
    turns = (*ASKED, Message("assistant", "4", (signed,)), ASKED[1])
    can = who(model).can
    efforts = can.effort or (None,)
    budgets = (None, 0, 2000) if can.thinking_budget and "disabled" in who(model).traits["thinking"] else (None,)
    for effort, budget in ((effort, budget) for effort in efforts for budget in budgets):
        sent = dict(encoded(model, turns, effort=effort, thinking_budget=budget, stop=("END",)).body)
        # The SDK of now has left out what only older models take.
        thinks = can.thinking and (effort != "none" or not who(model).at("none").can.takes[1:])
        assert {name: sent.pop(name) for name in ("temperature",) if name in sent} == (
            {} if thinks else {"temperature": 0.7}
        )
        # What its types do not know is missing from what they let through.
        assert listed(adapter.validate_python(sent)) == sent
