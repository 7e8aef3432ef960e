"""What is asked of a host that speaks chat completions, dialect by dialect, held against the vendors' own types."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tttlab.errors import ParameterError
from tttlab.models.fitting import fitted
from tttlab.models.hosts.host import Host
from tttlab.models.hosts.openai_compatible import HOSTS
from tttlab.models.wire import DrawsMany, Named
from tttlab.models.wire.openai_chat import OpenAiChat
from tttlab.types import Message, ReasoningItem, Request, Sampling

BY_NAME = {host.name: host for host in HOSTS}
ASKED = (Message("system", "be brief"), Message("user", "2+2?"))


def named(host: Host, model: str) -> Named:
    return Named(provider=host.provider, model=model, can=host.abilities(model), traits=host.row(model).traits)


def body_of(name: str, model: str = "m1", *, messages: tuple[Message, ...] = ASKED, **sampling: Any) -> dict[str, Any]:
    """What is sent to a host, all that its model cannot do taken off."""
    host = BY_NAME[name]
    asked = Request(messages=messages, sampling=Sampling(**sampling), seed=3)
    who = named(host, model)
    return dict(host.wire.encode(fitted(asked, who).request, who).body)


def test_a_plain_request():
    assert body_of("openai-compatible", max_tokens=10, temperature=0.5, stop=("\n",)) == {
        "model": "m1",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2?"}],
        "max_tokens": 10,
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": 3,
        "temperature": 0.5,
        "top_p": 1.0,
        "stop": ["\n"],
    }


def test_a_server_that_truncates_by_itself_is_told_not_to():
    for name, top_k in (("vllm", 0), ("llamacpp", 0), ("sglang", -1)):
        body = body_of(name)
        assert (body["top_p"], body["min_p"], body["top_k"]) == (1.0, 0.0, top_k)
    assert body_of("vllm", top_k=40)["top_k"] == 40
    assert not {"top_p", "min_p", "top_k"} & set(body_of("openrouter"))
    assert body_of("openrouter", top_p=0.9)["top_p"] == 0.9


def test_log_probabilities_are_asked_for_where_there_are_any():
    assert {"logprobs": True, "top_logprobs": 5}.items() <= body_of("vllm").items()
    assert "logprobs" not in body_of("vllm", logprobs=0)
    assert "logprobs" not in body_of("groq")
    assert body_of("vllm-completions")["logprobs"] == 5


@pytest.mark.parametrize(
    ("name", "model", "sampling", "expected"),
    [
        ("vllm", "Qwen3-8B", {"thinking_budget": 100}, {"thinking_token_budget": 100, "max_tokens": 612}),
        ("vllm", "gpt-oss-20b", {"effort": "low"}, {"reasoning_effort": "low", "max_tokens": 512 + 8192}),
        ("vllm", "Qwen3-8B", {"grammar": 'root ::= "4"'}, {"structured_outputs": {"grammar": 'root ::= "4"'}}),
        ("llamacpp", "m1", {"grammar": 'root ::= "4"'}, {"grammar": 'root ::= "4"', "max_tokens": 512}),
        (
            "deepseek",
            "deepseek-v4-pro",
            {"effort": "max"},
            {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
        ),
        ("deepseek", "deepseek-chat", {}, {"temperature": 0.7, "max_tokens": 512}),
        ("groq", "openai/gpt-oss-120b", {"effort": "high"}, {"reasoning_format": "parsed", "reasoning_effort": "high"}),
        ("groq", "llama-3.3-70b", {}, {"max_completion_tokens": 512}),
        ("zai", "glm-4.7", {}, {"thinking": {"type": "enabled"}}),
        ("mistral", "magistral-medium-latest", {}, {"random_seed": 3, "max_tokens": 512 + 8192}),
        ("mistral", "mistral-medium-latest", {}, {"reasoning_effort": "high"}),
        ("mistral", "mistral-medium-latest", {"effort": "low"}, {"reasoning_effort": "low"}),
        (
            "openrouter",
            "anthropic/claude-opus-5-5",
            {"effort": "low"},
            {"reasoning": {"enabled": True, "effort": "low"}},
        ),
        (
            "openrouter",
            "anthropic/claude-sonnet-4.5",
            {"thinking_budget": 2000},
            {"reasoning": {"enabled": True, "max_tokens": 2000}, "provider": {"require_parameters": True}},
        ),
    ],
)
def test_how_thinking_is_asked_for(name, model, sampling, expected):
    assert expected.items() <= body_of(name, model, **sampling).items()


def test_a_thinking_deepseek_is_sent_no_temperature_which_it_would_ignore():
    assert "temperature" not in body_of("deepseek", "deepseek-v4-pro")


def test_an_effort_and_a_budget_at_once_are_refused_where_the_host_takes_one():
    with pytest.raises(ParameterError, match="an effort or a thinking_budget, not both: nothing was asked"):
        body_of("openrouter", "anthropic/claude-sonnet-4.5", effort="low", thinking_budget=2000)


def test_more_stop_strings_than_a_host_takes_are_refused():
    with pytest.raises(ParameterError, match="takes 1 stop strings at most"):
        body_of("zai", stop=("a", "b"))


def test_a_partial_answer_is_gone_on_from():
    partial = (*ASKED, Message("assistant", "The answer"))
    assert {"continue_final_message": True, "add_generation_prompt": False}.items() <= body_of(
        "vllm", messages=partial
    ).items()
    assert body_of("llamacpp", messages=partial)["messages"][-1] == {"role": "assistant", "content": "The answer"}
    assert "continue_final_message" not in body_of("vllm")


def test_a_raw_prompt_is_the_texts_with_nothing_added():
    partial = (*ASKED, Message("assistant", "The answer"))
    assert body_of("llamacpp-completions", messages=partial)["prompt"] == "be brief2+2?The answer"


def test_sealed_thinking_goes_back_to_the_kind_of_host_that_sealed_it():
    block = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s1"}
    for name, own, content in (
        ("openrouter", "openrouter_chat", {"content": "four", "reasoning_details": [block]}),
        ("mistral", "mistral_chat", {"content": [block, {"type": "text", "text": "four"}]}),
    ):
        items = (ReasoningItem(own, json.dumps(block)), ReasoningItem("other", "{}"))
        turns = (*ASKED, Message("assistant", "four", items), Message("user", "and 3+3?"))
        sent = BY_NAME[name].wire.encode(Request(messages=turns), named(BY_NAME[name], "m1"))
        assert sent.body["messages"][2] == {"role": "assistant", **content}
        assert sent.notes == (
            "thinking that another kind of host had sealed was not sent back: only that kind can read it",
        )


@pytest.mark.parametrize("name", ["openrouter", "mistral"])
def test_sealed_thinking_that_is_damaged_is_refused_before_it_is_sent(name):
    wire = BY_NAME[name].wire
    turns = (*ASKED, Message("assistant", "four", (ReasoningItem(wire.name, "{"),)), Message("user", "and 3+3?"))
    with pytest.raises(ParameterError, match="no JSON: nothing was asked"):
        wire.encode(Request(messages=turns), named(BY_NAME[name], "m1"))


def test_several_completions_in_one_request():
    wire = OpenAiChat()
    assert isinstance(wire, DrawsMany)
    assert wire.encode_many(Request(messages=ASKED), Named(provider="p", model="m1"), 4).body["n"] == 4
    assert "n" not in body_of("vllm")


def test_a_models_own_fields_join_those_that_are_sent():
    who = Named(
        provider="p", model="m1", traits={"body": {"stream_options": {"x": 1}, "chat_template_kwargs": {"a": 1}}}
    )
    sent = OpenAiChat().encode(Request(messages=ASKED), who).body
    assert sent["stream_options"] == {"include_usage": True, "x": 1}
    assert sent["chat_template_kwargs"] == {"a": 1}


def test_encoding_changes_no_row():
    before = repr(BY_NAME["openrouter"])
    body_of("openrouter", "anthropic/claude-sonnet-4.5", thinking_budget=2000)
    assert repr(BY_NAME["openrouter"]) == before


def test_each_host_has_an_https_address_or_is_local():
    for host in HOSTS:
        assert host.address.startswith("https://") or host.local or host.name == "openai-compatible"
        assert not host.address.endswith("/")


EXTRAS = {
    "vllm": {"top_k", "min_p", "return_token_ids", "thinking_token_budget", "structured_outputs"},
    "sglang": {"top_k", "min_p", "ebnf"},
    "llamacpp": {"top_k", "min_p", "grammar"},
    "lmstudio": {"top_k", "min_p"},
    "deepseek": {"thinking"},
    "openrouter": {"provider", "reasoning", "top_k", "min_p"},
    "groq": {"reasoning_format"},
    "together": {"top_k", "min_p"},
    "mistral": {"random_seed"},
    "zai": {"thinking"},
}
"""What hosts take beyond OpenAI's own fields, by name."""
THINKERS = ("deepseek-v4-pro", "openai/gpt-oss-120b", "Qwen3-8B", "glm-4.7", "magistral-medium-latest", "m1")
FULL = {"top_p": 0.9, "top_k": 40, "min_p": 0.1, "stop": ("\n",), "grammar": 'root ::= "4"'}


def every_body(host: Host) -> list[dict[str, Any]]:
    """Requests of a host with all that its models can do."""
    bodies = []
    for model in THINKERS:
        who = named(host, model)
        options = {name: value for name, value in FULL.items() if name in who.can.takes}
        options |= {"effort": who.can.effort[-1]} if who.can.effort else {}
        options |= {"thinking_budget": 100} if who.can.thinking_budget and not who.can.effort else {}
        asked = Request(messages=(*ASKED, Message("assistant", "x"), ASKED[1]), sampling=Sampling(**options), seed=3)
        bodies.append(dict(host.wire.encode_many(fitted(asked, who).request, who, 2).body))
    return bodies


@pytest.mark.parametrize(
    "host", [host for host in HOSTS if not host.name.endswith("-completions")], ids=lambda host: host.name
)
def test_requests_are_openais_own_but_for_what_a_host_adds_by_name(host):
    types = pytest.importorskip("openai.types.chat.completion_create_params")
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(types.CompletionCreateParamsStreaming)
    known = set(adapter.json_schema()["properties"])
    for body in every_body(host):
        assert set(body) - known <= EXTRAS.get(host.name, set())
        plain = {name: value for name, value in body.items() if name in known}
        list(adapter.validate_python(plain, strict=True)["messages"])


def test_raw_prompts_are_openais_own_too():
    types = pytest.importorskip("openai.types.completion_create_params")
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(types.CompletionCreateParamsStreaming)
    known = set(adapter.json_schema()["properties"])
    for name in ("vllm", "llamacpp"):
        for body in every_body(BY_NAME[f"{name}-completions"]):
            assert set(body) - known <= EXTRAS[name]
            adapter.validate_python({name: value for name, value in body.items() if name in known}, strict=True)


def test_mistrals_requests_are_those_of_its_sdk():
    models = pytest.importorskip("mistralai.client.models")
    for body in every_body(BY_NAME["mistral"]):
        assert set(body) <= set(models.ChatCompletionStreamRequest.model_fields)
        models.ChatCompletionStreamRequest.model_validate(body)


def test_a_copy_with_another_field_is_another_dialect():
    wire = replace(BY_NAME["vllm"].wire, max_tokens="max_completion_tokens")
    assert "max_completion_tokens" in wire.encode(Request(messages=ASKED), Named(provider="p", model="m1")).body
