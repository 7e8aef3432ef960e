"""What is asked of hosts that speak OpenAI's Responses, and of OpenAI by either route, held against its SDK's types."""

import json
from functools import cache

import pytest

from tests.models.wire.responses_events import SAID, THOUGHT
from tttlab.errors import ParameterError
from tttlab.models.fitting import fitted
from tttlab.models.hosts.openai import HOSTS
from tttlab.models.wire import DrawsMany, Named
from tttlab.models.wire.openai_responses import OPENROUTER_RESPONSES
from tttlab.types import Message, ReasoningItem, Request, Sampling

BY_NAME = {host.name: host for host in HOSTS}
ASKED = (Message("system", "be brief"), Message("user", "2+2?"))
TURNS = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2?"}]
MODELS = (
    "gpt-4.1",
    "gpt-5",
    "gpt-5.1",
    "gpt-5.4-mini",
    "gpt-5.5",
    "gpt-5.6-sol",
    "gpt-6-astra",
    "gpt-5-pro",
    "o3-mini",
)


def encoded(model, *, host="openai", messages=ASKED, seed=None, cap=None, **sampling):
    """What is sent to a host, all that its model cannot do taken off, and the notes of both."""
    host = BY_NAME[host]
    who = Named(provider=host.provider, model=model, can=host.abilities(model), traits=host.row(model).traits)
    fit = fitted(Request(messages=messages, sampling=Sampling(**sampling), seed=seed, cap=cap), who)
    sent = host.wire.encode(fit.request, who)
    return dict(sent.body), (*fit.notes, *sent.notes)


def test_a_plain_request():
    body, notes = encoded("gpt-4.1", max_tokens=100, logprobs=0)
    assert body == {
        "model": "gpt-4.1",
        "input": TURNS,
        "stream": True,
        "store": False,
        "max_output_tokens": 100,
        "temperature": 0.7,
        "top_p": 1.0,
    }
    assert notes == ()


def test_a_thinking_model_is_asked_for_a_summary_and_its_sealed_thinking_and_at_no_temperature():
    body, notes = encoded("o3-mini", effort="high", max_tokens=100)
    assert body == {
        "model": "o3-mini",
        "input": TURNS,
        "stream": True,
        "store": False,
        "max_output_tokens": 100 + 8192,
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    assert notes == ("temperature 0.7 was not sent: o3-mini takes none",)


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("o1-pro", ("low", "medium", "high")),
        ("o4-mini-2025-04-16", ("low", "medium", "high")),
        ("gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("gpt-5-2025-08-07", ("minimal", "low", "medium", "high")),
        ("gpt-5-pro", ("high",)),
        ("gpt-5-codex", ("low", "medium", "high")),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5.1-chat-latest", ("medium",)),
        ("gpt-5.1-codex-max", ("low", "medium", "high", "xhigh")),
        ("gpt-5.3-codex", ("low", "medium", "high", "xhigh")),
        ("gpt-5.2-pro", ("medium", "high", "xhigh")),
        ("gpt-5.4-nano", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5.5", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5.6-luna", ("none", "low", "medium", "high", "xhigh", "max")),
        ("gpt-6-astra", ("low", "medium", "high", "xhigh", "max")),
        ("gpt-6.1-sol", ("none", "low", "medium", "high", "xhigh", "max")),
        ("gpt-4o", ()),
        ("gpt-5-chat-latest", ()),
    ],
)
def test_the_efforts_of_each_family(model, efforts):
    can = BY_NAME["openai"].abilities(model)
    assert (can.effort, can.thinking) == (efforts, bool(efforts))
    assert BY_NAME["openai-chat"].abilities(model).effort == tuple(each for each in efforts if each != "max")
    for effort in efforts:
        assert encoded(model, effort=effort)[0]["reasoning"]["effort"] == effort
    with pytest.raises(ParameterError, match="knows no effort 'ultra'"):
        encoded(model, effort="ultra")


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5.4", "gpt-5.5", "gpt-6-sol"])
def test_a_model_that_is_told_not_to_think_is_sampled_as_others_are(model):
    body, notes = encoded(model, effort="none", temperature=0.2, max_tokens=100, logprobs=3)
    assert (body["temperature"], body["top_p"], body["top_logprobs"]) == (0.2, 1.0, 3)
    assert body["include"] == ["message.output_text.logprobs"]
    assert body["max_output_tokens"] == 100
    assert body["reasoning"] == {"effort": "none"}
    assert notes == ()
    chat, _ = encoded(model, host="openai-chat", effort="none", temperature=0.2, max_tokens=100)
    assert (chat["reasoning_effort"], chat["temperature"], chat["max_completion_tokens"]) == ("none", 0.2, 100)


@pytest.mark.parametrize(("model", "asked"), [("gpt-5.1", "medium"), ("gpt-5.4-mini", "medium"), ("gpt-5.5", None)])
def test_a_model_that_would_not_think_by_itself_is_asked_to(model, asked):
    body, notes = encoded(model, top_p=0.9)
    assert body["reasoning"] == ({"effort": asked} if asked else {}) | {"summary": "auto"}
    assert not {"temperature", "top_p", "top_logprobs"} & set(body)
    assert notes[:2] == (
        f"temperature 0.7 was not sent: {model} takes none",
        f"top_p 0.9 was not sent: {model} takes none",
    )
    told = f"effort {asked!r} was asked for: {model} would not think by itself"
    assert notes[2:] == ((told,) if asked else ())
    assert encoded(model, host="openai-chat")[0].get("reasoning_effort") == asked
    assert encoded(model, host="openai-chat", effort="low")[0]["reasoning_effort"] == "low"


def test_log_probabilities_are_asked_for_by_name():
    body, _ = encoded("gpt-4.1", logprobs=3)
    assert (body["include"], body["top_logprobs"]) == (["message.output_text.logprobs"], 3)


def test_a_bound_below_the_hosts_least_is_raised_with_a_note():
    body, notes = encoded("gpt-4.1", max_tokens=5)
    assert body["max_output_tokens"] == 16
    assert notes == ("max_output_tokens was raised from 5 to 16, the least that it takes",)
    assert encoded("m1", host="llamacpp-responses", max_tokens=5)[0]["max_output_tokens"] == 5
    assert encoded("o3", max_tokens=500, cap=300)[0]["max_output_tokens"] == 300


def test_a_seed_and_stop_strings_are_never_sent_to_openai():
    body, notes = encoded("gpt-4.1", seed=3, stop=("\n",))
    assert not {"seed", "stop"} & set(body)
    assert notes == ("the seed was not sent: gpt-4.1 takes none, so the same call may give something else",)
    assert "stop" not in BY_NAME["openai"].abilities("gpt-4.1").takes


def test_only_chat_completions_draw_several_at_once():
    assert not isinstance(BY_NAME["openai"].wire, DrawsMany)
    assert isinstance(BY_NAME["openai-chat"].wire, DrawsMany)
    assert all(BY_NAME["openai-chat"].abilities(model).n for model in MODELS)


def test_llama_cpps_server_is_told_not_to_truncate_and_reads_answers_in_parts():
    turns = (*ASKED, Message("assistant", "four"), ASKED[1])
    asked = {"host": "llamacpp-responses", "messages": turns, "seed": 3, "stop": ("\n",), "grammar": 'root ::= "4"'}
    body, notes = encoded("m1", **asked)
    assert notes == ("this server does not say whether an answer was ended by max_tokens",)
    options = {"temperature": 0.7, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": 3, "stop": ["\n"]}
    assert {**options, "grammar": 'root ::= "4"'}.items() <= body.items()
    assert not {"include", "top_logprobs", "reasoning", "store"} & set(body)
    parts = [{"type": "output_text", "text": "four", "annotations": []}]
    assert body["input"][2] == {"type": "message", "role": "assistant", "status": "completed", "content": parts}
    assert encoded("gpt-oss-20b", host="llamacpp-responses", effort="low")[0]["reasoning"] == {"effort": "low"}


def kept(*items, wire="openai_responses"):
    return tuple(ReasoningItem(wire, json.dumps(item)) for item in items)


def test_sealed_thinking_goes_back_before_the_very_message_that_it_led_to():
    turns = (*ASKED, Message("assistant", "four", kept(THOUGHT, SAID)), Message("user", "and 3+3?"))
    body, notes = encoded("o3", messages=turns)
    assert body["input"][2:] == [THOUGHT, SAID, {"role": "user", "content": "and 3+3?"}]
    assert notes == ("temperature 0.7 was not sent: o3 takes none",)


def test_sealed_thinking_does_not_go_back_before_another_answer_or_to_another_host():
    changed = Message("assistant", "five", kept(THOUGHT, SAID))
    alone = Message("assistant", "five", kept(THOUGHT))
    foreign = Message("assistant", "five", kept(THOUGHT, SAID, wire=OPENROUTER_RESPONSES.name))
    for turn, said in ((changed, "an answer was changed"), (alone, "changed"), (foreign, "only that kind can read it")):
        body, notes = encoded("o3", messages=(*ASKED, turn, turn, Message("user", "why?")))
        assert body["input"][2] == {"role": "assistant", "content": "five"}
        assert [said in note for note in notes] == [False, True]


@pytest.mark.parametrize("damaged", ["{", "[]", "7", "[" * 100_000, '{"type": "message", "content": [7]}'])
def test_sealed_thinking_that_is_damaged_is_refused_before_it_is_sent(damaged):
    turns = (*ASKED, Message("assistant", "four", (ReasoningItem("openai_responses", damaged),)), ASKED[1])
    with pytest.raises(ParameterError, match="nothing was asked"):
        encoded("o3", messages=turns)


@cache
def sdk(module, name):
    """A type of the SDK's, and the names of its fields."""
    adapter = pytest.importorskip("pydantic").TypeAdapter(getattr(pytest.importorskip(module), name))
    return adapter, set(adapter.json_schema()["properties"])


def asked_of(host, model):
    """Requests with every option that the model takes, at each of its efforts."""
    can = BY_NAME[host].abilities(model)
    sealed = Message("assistant", "four", kept(THOUGHT, SAID))
    for effort in (None, *can.effort):
        turns = (*ASKED, sealed, Message("assistant", "six"), ASKED[1])
        yield encoded(model, host=host, messages=turns, seed=3, effort=effort, top_p=0.9, stop=("\n",))[0]


@pytest.mark.parametrize("model", MODELS)
def test_responses_are_asked_for_in_the_sdks_own_words(model):
    adapter, known = sdk("openai.types.responses.response_create_params", "ResponseCreateParamsStreaming")
    for body in asked_of("openai", model):
        assert set(body) <= known
        assert set(body.get("reasoning", ())) <= {"effort", "summary"}
        checked = adapter.validate_python(body, strict=True)
        assert len(list(checked["input"])) == len(body["input"])


@pytest.mark.parametrize("model", MODELS)
def test_chat_completions_are_asked_for_in_the_sdks_own_words(model):
    adapter, known = sdk("openai.types.chat.completion_create_params", "CompletionCreateParamsStreaming")
    for body in asked_of("openai-chat", model):
        assert set(body) <= known
        adapter.validate_python(body, strict=True)
        assert ("temperature" in body) == (body.get("reasoning_effort") == "none" or model == "gpt-4.1")
        assert ("stop" in body) == (model == "gpt-4.1")


def test_a_field_that_the_sdk_does_not_know_would_be_found():
    adapter, known = sdk("openai.types.responses.response_create_params", "ResponseCreateParamsStreaming")
    body = next(asked_of("openai", "o3"))
    with pytest.raises(ValueError, match="effort"):
        adapter.validate_python({**body, "reasoning": {"effort": "ultra"}}, strict=True)
    assert not {"seed", "stop", "max_tokens"} & known
