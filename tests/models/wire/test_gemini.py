"""Gemini: what is asked of each family of models, and what a stream of responses says."""

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
from tttlab.events import Alternatives, ChunkDelta, Finish, Fold, TokenDelta, UsageUpdate
from tttlab.models.hosts.google import HOSTS
from tttlab.models.wire import Encoded, Frame, Named
from tttlab.types import Message, ReasoningItem, Request, Sampling, Usage

[HOST] = HOSTS
ASKED = (Message("system", "be brief"), Message("user", "2+2?"))
FAMILIES = ("gemini-2.0-flash", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-pro-preview", "gemini-4-argon")


def who(model: str, **can: Any) -> Named:
    abilities = replace(HOST.abilities(model), **can)
    return Named(provider=HOST.provider, model=model, can=abilities, traits=HOST.row(model).traits)


def encoded(
    model: str,
    messages: tuple[Message, ...] = ASKED,
    *,
    seed: int | None = None,
    logprobs: bool = False,
    **options: Any,
) -> Encoded:
    request = Request(messages=messages, sampling=Sampling(**options), seed=seed)
    return HOST.wire.encode(request, who(model, logprobs=logprobs))


def config(model: str, **options: Any) -> dict[str, Any]:
    return encoded(model, **options).body["generationConfig"]


def response(
    *parts: dict[str, Any], finish: str | None = None, usage: dict[str, int] | None = None, **more: Any
) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
    return {
        "candidates": [candidate | ({"finishReason": finish} if finish else {})],
        "modelVersion": "gemini-x-001",
        "responseId": "r1",
        **({"usageMetadata": usage} if usage else {}),
    }


def counts(prompt: int, candidates: int = 0, thoughts: int = 0, **more: int) -> dict[str, int]:
    return {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "thoughtsTokenCount": thoughts, **more}


def thought(text: str) -> dict[str, Any]:
    return {"text": text, "thought": True}


def decoded(*objects: Any) -> list[Any]:
    """The events of a stream; the n-th frame comes at n nanoseconds."""
    decoder = HOST.wire.decoder(who("gemini-2.5-pro"), ("noted",))
    events = [event for n, each in enumerate(objects) for event in decoder.feed(Frame("", json.dumps(each)), n)]
    return [*events, *decoder.end()]


def folded(*objects: Any) -> Fold:
    fold = Fold()
    for event in decoded(*objects):
        fold.add(event)
    return fold


def test_a_plain_request():
    sent = encoded("gemini-2.0-flash", seed=2**31 + 5, max_tokens=10, temperature=0.5, top_k=40, stop=("\n",))
    assert sent == Encoded(
        path="/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse",
        body={
            "contents": [{"role": "user", "parts": [{"text": "2+2?"}]}],
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "generationConfig": {
                "maxOutputTokens": 10,
                "temperature": 0.5,
                "topP": 1.0,
                "topK": 40,
                "stopSequences": ["\n"],
                "seed": 5,
            },
        },
    )


def test_where_a_model_of_any_name_is_asked():
    assert encoded("tunedModels/mine").path == "/v1beta/tunedModels/mine:streamGenerateContent?alt=sse"
    assert encoded("a?b#c").path == "/v1beta/models/a%3Fb%23c:streamGenerateContent?alt=sse"


def test_a_budget_or_a_level_as_each_family_has_it():
    assert config("gemini-2.5-pro")["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": -1}
    told = config("gemini-2.5-pro", thinking_budget=500, max_tokens=100)
    assert told["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 500}
    assert told["maxOutputTokens"] == 600
    assert config("gemini-3-pro-preview")["thinkingConfig"] == {"includeThoughts": True}
    assert config("gemini-3-pro-preview")["maxOutputTokens"] == 512 + 8192
    assert config("gemini-3-pro-preview", effort="high")["thinkingConfig"] == {
        "includeThoughts": True,
        "thinkingLevel": "HIGH",
    }
    assert who("gemini-3-pro-preview").can.effort == ("low", "high")
    for model in ("gemini-2.0-flash", "gemini-1.5-flash-latest", "gemini-2.5-flash-tts"):
        assert "thinkingConfig" not in config(model)
    assert config("gemini-flash-latest")["thinkingConfig"] == {"includeThoughts": True}


def test_a_budget_of_0_turns_thinking_off_where_it_can_be():
    off = config("gemini-2.5-flash", thinking_budget=0)
    assert (off["thinkingConfig"], off["maxOutputTokens"]) == ({"thinkingBudget": 0}, 512)
    for model in ("gemini-2.5-pro", "gemini-3-pro-preview"):
        with pytest.raises(ParameterError, match="cannot be turned off"):
            config(model, thinking_budget=0)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("gemini-2.5-pro", {"thinking_budget": 127}, "from 128 to 32768"),
        ("gemini-2.5-flash-lite", {"thinking_budget": 30000}, "from 512 to 24576"),
        ("gemini-3-pro-preview", {"thinking_budget": 500}, "cannot hold its thinking"),
        ("gemini-3-pro-preview", {"thinking_budget": 500, "effort": "low"}, "not both"),
        ("gemini-2.5-pro", {"stop": tuple("abcdef")}, "5 stop strings at most"),
        ("gemini-2.5-pro", {"messages": ASKED[:1]}, "without a turn"),
        ("gemini-2.5-pro", {"min_p": 0.1}, "no place for min_p"),
        ("gemini-2.5-pro", {"grammar": "root"}, "no place for grammar"),
    ],
)
def test_what_it_cannot_do_is_refused(model, options, said):
    with pytest.raises(ParameterError, match=said):
        encoded(model, **options)


def test_log_probabilities_are_asked_for_where_there_are_any():
    assert "responseLogprobs" not in config("gemini-2.0-flash")
    sent = config("gemini-2.0-flash", logprobs=True)
    assert (sent["responseLogprobs"], sent["logprobs"]) == (True, 5)


def test_a_stream_of_thoughts_and_text():
    signed = {"text": "fo", "thoughtSignature": "c2ln"}
    events = decoded(
        response(thought("**Adding** "), usage=counts(7, thoughts=5, cachedContentTokenCount=4)),
        response(signed, usage=counts(7, 1, 5, cachedContentTokenCount=4)),
        response({"text": "ur"}, finish="STOP"),
        {"usageMetadata": counts(7, 2, 5, cachedContentTokenCount=4)},
    )
    assert events == [
        ChunkDelta("**Adding** ", 0, "thinking"),
        UsageUpdate(Usage(prompt_tokens=7, cached_tokens=4, output_tokens=5, thinking_tokens=5)),
        ChunkDelta("fo", 1),
        ReasoningItem("gemini", '{"text":"fo","thoughtSignature":"c2ln"}'),
        UsageUpdate(Usage(prompt_tokens=7, cached_tokens=4, output_tokens=6, thinking_tokens=5)),
        ChunkDelta("ur", 2),
        UsageUpdate(Usage(prompt_tokens=7, cached_tokens=4, output_tokens=7, thinking_tokens=5)),
        Finish("stop", "summary", "gemini-x-001", None, ("noted",), "r1"),
    ]


def test_counts_that_stay_the_same_are_told_again_after_new_text():
    said = folded(*(response({"text": text}, usage=counts(7, 3)) for text in ("four", "teen")), response(finish="STOP"))
    assert (said.usage().output_tokens, said.estimated) == (3, False)


def test_how_it_is_sampled_is_told_where_that_has_an_effect():
    for model in ("gemini-2.5-pro", "gemini-3.1-pro-preview", "gemini-3.5-flash"):
        assert {"temperature", "topP"} <= set(config(model))
    for model in ("gemini-3.5-flash-lite", "gemini-3.8-flash", "gemini-4-argon", "gemini-pro-latest"):
        assert not {"temperature", "topP"} & set(config(model))


def test_levels_of_thinking_are_those_of_the_family():
    levels = ("low", "medium", "high")
    for model, known in {
        "gemini-2.5-flash": (),
        "gemini-3.1-pro-preview": levels,
        "gemini-3.1-flash-lite": ("minimal", *levels),
        "gemini-3.5-flash": ("minimal", *levels),
        "gemini-3.8-flash": levels,
        "gemini-4-argon": levels,
    }.items():
        assert who(model).can.effort == known


def test_a_model_of_which_is_said_that_it_does_not_think_is_kept_from_it_where_it_can_be():
    request = Request(messages=ASKED)
    for model, thinking in (("gemini-2.5-flash", {"thinkingBudget": 0}), ("gemini-3-pro-preview", None)):
        sent = HOST.wire.encode(request, who(model, thinking=False)).body["generationConfig"]
        assert (sent.get("thinkingConfig"), sent["maxOutputTokens"]) == (thinking, 512)


def test_what_is_shown_of_thinking_is_told_from_what_came():
    signed = response({"text": "four", "thoughtSignature": "YQ=="}, finish="STOP", usage=counts(7, 1, 5))
    assert folded(signed).finish.visibility == "encrypted"
    unthought = response({"text": "four", "thoughtSignature": "YQ=="}, finish="STOP", usage=counts(7, 1))
    assert folded(unthought).finish.visibility == "none"
    hidden = response({"text": "four"}, finish="STOP", usage=counts(7, 1, 5))
    assert folded(hidden).finish.visibility == "omitted"
    assert folded(response({"text": "four"}, finish="STOP", usage=counts(7, 1))).finish.visibility == "none"
    spent = folded({"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": counts(7, thoughts=90)})
    assert (spent.finish.reason, spent.finish.visibility, spent.usage().output_tokens) == ("length", "omitted", 90)


def test_signatures_go_back_in_place_with_the_text_that_they_hold_for():
    first = folded(
        response({"text": "It "}),
        response({"text": "is 4", "thoughtSignature": "YQ=="}),
        response({"text": "."}),
        response({"text": "", "thoughtSignature": "Yg=="}, finish="STOP"),
    ).completion()
    foreign = ReasoningItem("anthropic_messages", "{}")
    turn = Message("assistant", first.text, (*first.reasoning, foreign))
    sent = encoded("gemini-3-pro-preview", (*ASKED, turn, Message("user", "sure?")))
    assert sent.body["contents"][1] == {
        "role": "model",
        "parts": [
            {"text": "It "},
            {"text": "is 4", "thoughtSignature": "YQ=="},
            {"text": "."},
            {"text": "", "thoughtSignature": "Yg=="},
        ],
    }
    assert [note.split(" was ")[0] for note in sent.notes] == ["thinking that another kind of host had sealed"]
    changed = encoded("gemini-3-pro-preview", (*ASKED, Message("assistant", "It was", first.reasoning), ASKED[1]))
    assert changed.body["contents"][1]["parts"] == [{"text": "It was"}]
    assert changed.notes == (
        "sealed thinking was not sent back: its host takes it only with the very text that it came with",
    )


@pytest.mark.parametrize(
    ("said", "reason", "note"),
    [
        ("STOP", "stop", ()),
        ("MAX_TOKENS", "length", ()),
        ("SAFETY", "content_filter", ("the host's reason to end was 'SAFETY': too spicy",)),
        ("RECITATION", "content_filter", ("the host's reason to end was 'RECITATION': too spicy",)),
        ("MALFORMED_RESPONSE", "error", ("the host's reason to end was 'MALFORMED_RESPONSE': too spicy",)),
        ("BOREDOM", "stop", ("the host's reason to end was 'BOREDOM': taken as stop: too spicy",)),
    ],
)
def test_reasons_to_end(said, reason, note):
    fold = folded(response({"text": "fo"}, finish=said, finishMessage="too\nspicy"))
    assert (fold.completion().text, fold.finish.reason, fold.finish.notes) == ("fo", reason, ("noted", *note))


def test_a_call_of_a_function_is_no_answer():
    called = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    said = folded(response(called, finish="STOP")).completion()
    assert (said.text, said.finish_reason) == ("", "tool_call")
    assert json.loads(said.reasoning[0].content) == called


def test_a_prompt_that_is_blocked_is_a_result():
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "not this"}
    said = folded({"promptFeedback": feedback, "usageMetadata": counts(7)})
    assert (said.finish.reason, said.usage().prompt_tokens) == ("content_filter", 7)
    assert said.finish.notes[-1] == "the host blocked the prompt (PROHIBITED_CONTENT): not this"


def logprobs(*tokens: str) -> dict[str, Any]:
    chosen = [{"token": token, "tokenId": n, "logProbability": -0.5} for n, token in enumerate(tokens)]
    tops = [{"candidates": [each, {"token": "zz", "logProbability": -3}]} for each in chosen]
    return {"logprobsResult": {"chosenCandidates": chosen, "topCandidates": tops}}


def test_tokens_are_told_where_they_make_up_the_text():
    events = decoded(response({"text": "four"}, finish="STOP", **logprobs("fo", "ur")))
    assert events[:2] == [
        TokenDelta("fo", 0, 0, -0.5, Alternatives((0, None), ("fo", "zz"), (-0.5, -3.0))),
        TokenDelta("ur", 0, 1, -0.5, Alternatives((1, None), ("ur", "zz"), (-0.5, -3.0))),
    ]


@pytest.mark.parametrize("tokens", [("fo",), ("fo", "ur", "!"), ("hm", "four")])
def test_text_is_a_piece_where_the_tokens_are_not_its_own(tokens):
    assert decoded(response({"text": "four"}, finish="STOP", **logprobs(*tokens)))[0] == ChunkDelta("four", 0)


def test_tokens_of_several_texts_are_nobodys():
    said = folded(response({"text": "fo"}, {"text": "ur"}, finish="STOP", **logprobs("fo", "ur")))
    assert (said.completion().text, said.tokens) == ("four", [])
    same = folded(response({"text": "four"}, {"text": "four"}, finish="STOP", **logprobs("fo", "ur")))
    assert (same.completion().text, same.tokens) == ("fourfour", [])


def test_a_stream_that_ends_early_is_broken_and_what_follows_its_end_is_ignored():
    with pytest.raises(BrokenStreamError, match="before the completion did"):
        decoded(response({"text": "four"}))
    with pytest.raises(BrokenStreamError):
        decoded()
    twice = folded(response({"text": "four"}, finish="STOP"), response({"text": "five"}, finish="SAFETY"))
    assert (twice.completion().text, twice.finish.reason) == ("four", "stop")


def test_an_unspecified_reason_to_end_is_none():
    begun = response({"text": "fo"}, finish="FINISH_REASON_UNSPECIFIED")
    assert folded(begun, response({"text": "ur"}, finish="STOP")).completion().text == "four"
    with pytest.raises(BrokenStreamError):
        decoded(begun)


def test_another_candidate_than_was_asked_for_is_nobodys():
    other = response({"text": "five"}, finish="SAFETY", index=1)
    assert folded(other, response({"text": "four"}, finish="STOP")).completion().text == "four"


def test_an_error_inside_a_stream_is_that_error():
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(OverloadedError, match="overloaded"):
        decoded(response({"text": "fo"}), error)


@pytest.mark.parametrize(
    ("status", "kind", "message", "error"),
    [
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", CredentialError),
        (403, "PERMISSION_DENIED", "no access", CredentialError),
        (404, "NOT_FOUND", "models/gemini-9 is not found", UnknownModelError),
        (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens", ContextLengthError),
        (400, "INVALID_ARGUMENT", "Budget 0 is invalid.", ParameterError),
        (429, "RESOURCE_EXHAUSTED", "quota", RateLimitError),
        (500, "INTERNAL", "oh", OverloadedError),
    ],
)
def test_failures(status, kind, message, error):
    body = json.dumps([{"error": {"code": status, "message": message, "status": kind}}])
    failure = HOST.wire.failure(status, body, who("gemini-2.5-pro"))
    assert (type(failure), failure.status, failure.said) == (error, status, message)


def test_the_key_goes_in_googles_own_header():
    assert HOST.authorization("k") == {"x-goog-api-key": "k"}


@pytest.mark.parametrize("model", FAMILIES)
def test_requests_are_those_of_the_vendors_sdk(model):
    types = pytest.importorskip("google.genai.types")
    can = who(model).can
    signed = ReasoningItem("gemini", '{"text":"4","thoughtSignature":"c2ln"}')
    turns = (*ASKED, Message("assistant", "4", (signed,)), ASKED[1])
    for effort in can.effort or (None,):
        for budget in (None, 500) if can.thinking_budget else (None,):
            options = {"effort": effort, "thinking_budget": budget, "stop": ("END",), "top_k": 3}
            sent = dict(encoded(model, turns, seed=3, logprobs=True, **options).body)
            # Its types refuse what they do not know, and warn, which fails here, of an unknown level.
            types.GenerationConfig.model_validate(sent.pop("generationConfig"))
            for content in (*sent.pop("contents"), sent.pop("systemInstruction")):
                types.Content.model_validate(content)
            assert sent == {}
