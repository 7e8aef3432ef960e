"""Ollama's own chat: what is asked, and what the lines of an answer say."""

import json

import pytest

from tttlab.errors import (
    BrokenStreamError,
    ContextLengthError,
    HostError,
    OverloadedError,
    ParameterError,
    UnknownModelError,
)
from tttlab.events import Alternatives, ChunkDelta, Finish, Fold, TokenDelta, UsageUpdate
from tttlab.models.fitting import fitted
from tttlab.models.hosts.ollama import HOSTS
from tttlab.models.wire import Frame, Named
from tttlab.types import Message, ReasoningItem, Request, Sampling, Usage

(HOST,) = HOSTS
NAMED = Named(provider="ollama", model="qwen3")
ASKED = (Message("system", "be brief"), Message("user", "2+2?"))


def encoded(model, *, messages=ASKED, seed=3, **sampling):
    who = Named(provider="ollama", model=model, can=HOST.abilities(model), traits=HOST.row(model).traits)
    request = Request(messages=messages, sampling=Sampling(**sampling), seed=seed)
    return HOST.wire.encode(fitted(request, who).request, who)


def line(content="", thinking=None, **more):
    message = {"role": "assistant", "content": content} | ({} if thinking is None else {"thinking": thinking})
    return json.dumps(
        {"model": "qwen3:8b", "created_at": "2026-11-01T00:00:00Z", "message": message, "done": False} | more
    )


def last(reason="stop", **more):
    counts = {"prompt_eval_count": 9, "eval_count": 7, "total_duration": 123456}
    return line(**{**counts, "done": True, "done_reason": reason, **more})


def entry(token, logprob=-0.5, top=()):
    tops = [{"token": text, "logprob": value, "bytes": list(text.encode())} for text, value in top]
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": tops}


def decoded(*lines, notes=()):
    decoder = HOST.wire.decoder(NAMED, notes)
    events = [event for n, each in enumerate(lines) for event in decoder.feed(Frame("", each), n)]
    return [*events, *decoder.end()]


def folded(*lines):
    fold = Fold()
    for event in decoded(*lines):
        fold.add(event)
    return fold


def test_a_plain_request_says_that_nothing_truncates_and_leaves_the_contexts_length_alone():
    sent = encoded("llama3.2", temperature=0.5, stop=("\n",), logprobs=3, max_tokens=100)
    assert (sent.path, sent.notes) == ("/api/chat", ())
    assert sent.body == {
        "model": "llama3.2",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2?"}],
        "stream": True,
        "logprobs": True,
        "top_logprobs": 3,
        "options": {
            "temperature": 0.5,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "stop": ["\n"],
            "seed": 3,
            "num_predict": 100,
        },
    }
    bare = encoded("llama3.2", seed=None, logprobs=0).body
    assert not {"logprobs", "top_logprobs", "think"} & set(bare)
    assert not {"seed", "stop"} & set(bare["options"])


@pytest.mark.parametrize(
    ("model", "effort", "think", "room"),
    [
        ("qwen3:8b", None, True, 8192),
        ("qwen3:8b", "none", False, 0),
        ("qwen3:30b-a3b-thinking-2507", None, True, 8192),
        ("deepseek-r1:32b", None, True, 8192),
        ("deepseek-v3.1:671b-cloud", "none", False, 0),
        ("gpt-oss:20b", None, None, 8192),
        ("gpt-oss:20b", "high", "high", 8192),
        ("qwen3-coder:30b", None, None, 0),
        ("llama3.2", None, None, 0),
    ],
)
def test_how_thinking_is_asked_for(model, effort, think, room):
    body = encoded(model, effort=effort, max_tokens=100).body
    assert body.get("think") == think
    assert body["options"]["num_predict"] == 100 + room


@pytest.mark.parametrize(
    ("model", "sampling"),
    [
        *(("gpt-oss:20b", {"effort": "none"}), ("deepseek-r1", {"effort": "none"})),
        *(("llama3.2", {"effort": "high"}), ("qwen3", {"thinking_budget": 10}), ("qwen3", {"grammar": "root ::= x"})),
    ],
)
def test_what_a_model_does_not_know_is_refused(model, sampling):
    with pytest.raises(ParameterError, match="nothing was asked"):
        encoded(model, **sampling)


def test_a_request_without_a_message_is_refused_since_it_would_only_load_the_model():
    with pytest.raises(ParameterError, match="only loads the model: nothing was asked"):
        encoded("qwen3", messages=())


def test_sealed_thinking_of_others_is_not_sent():
    turn = Message("assistant", "four", (ReasoningItem("other", "{}"),))
    sent = encoded("qwen3", messages=(*ASKED, turn, ASKED[1]))
    assert sent.body["messages"][2] == {"role": "assistant", "content": "four"}
    assert sent.notes == (
        "thinking that another kind of host had sealed was not sent back: only that kind can read it",
    )


def test_requests_fit_the_clients_own_types():
    types = pytest.importorskip("ollama._types")
    for model, sampling in (("qwen3", {"effort": "none"}), ("gpt-oss:20b", {"effort": "high"}), ("llama3.2", {})):
        body = dict(encoded(model, stop=("\n",), **sampling).body)
        assert set(body) <= set(types.ChatRequest.model_fields)
        # It leaves min-p out of its own list, which the server's documentation has.
        assert set(body["options"]) - {"min_p"} <= set(types.Options.model_fields)
        types.ChatRequest.model_validate(body)


def test_a_stream_of_pieces():
    assert decoded(line("fo"), line("ur"), last(), notes=("noted",)) == [
        ChunkDelta("fo", 0),
        ChunkDelta("ur", 1),
        UsageUpdate(Usage(prompt_tokens=9, output_tokens=7)),
        Finish("stop", "none", "qwen3:8b", None, ("noted",)),
    ]


def test_thinking_is_full_and_its_tokens_are_an_estimate_since_none_are_counted():
    said = folded(line("", "so "), line("", "far"), line("four"), last())
    assert (said.completion().thinking, said.completion().text) == ("so far", "four")
    assert said.finish.visibility == "full"
    assert (said.usage().output_tokens, said.usage().thinking_tokens, said.estimated) == (7, 2, True)


def test_a_template_that_the_server_does_not_know_leaves_the_thinking_in_band():
    said = folded(line("<think>hm"), line("</think>four"), last())
    assert (said.completion().thinking, said.completion().text) == ("<think>hm</think>", "four")
    assert said.finish.notes == ("the thinking was parted from the text in band",)


def test_tokens_with_log_probabilities():
    top = (("four", -0.1), ("five", -2.5))
    events = decoded(line("", "hm", logprobs=[entry("hm")]), line("four", logprobs=[entry("four", -0.1, top)]), last())
    assert events[:2] == [
        TokenDelta("hm", 0, None, -0.5, channel="thinking"),
        TokenDelta("four", 1, None, -0.1, Alternatives((None, None), ("four", "five"), (-0.1, -2.5))),
    ]


def test_log_probabilities_of_a_tag_that_was_taken_out_are_kept_without_text():
    said = folded(line("", "hm", logprobs=[entry("<think>"), entry("hm")]), line("4", logprobs=[entry("4")]), last())
    assert [token.text for token in said.tokens] == ["", "hm", "4"]
    assert (said.completion().thinking, said.completion().text) == ("hm", "4")


@pytest.mark.parametrize(
    ("said", "reason", "noted"),
    [("stop", "stop", 0), ("length", "length", 0), (None, "stop", 0), ("weather", "stop", 1)],
)
def test_reasons_to_end(said, reason, noted):
    finish = folded(line("four"), last(said)).finish
    assert (finish.reason, len(finish.notes)) == (reason, noted)


def test_a_tool_call_is_a_reason_to_end():
    assert folded(last(message={"content": "", "tool_calls": [{}]})).finish.reason == "tool_call"


@pytest.mark.parametrize("said", ["load", "unload"])
def test_a_model_that_was_only_loaded_has_completed_nothing(said):
    with pytest.raises(BrokenStreamError, match=f"the model was only {said}ed"):
        decoded(last(said))


def test_a_last_line_may_have_text_and_what_follows_it_is_ignored():
    assert folded(line("fo"), last(message={"content": "ur"}), line("five"), last("length")).completion().text == "four"


def test_a_last_line_without_counts_leaves_the_estimate():
    said = folded(line("four"), line(done=True, done_reason="stop"))
    assert (said.usage().output_tokens, said.estimated) == (1, True)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("model runner has unexpectedly stopped", HostError),
        ("model 'qwen9' not found", UnknownModelError),
        ("input length exceeds the context length", ContextLengthError),
        ("server busy, please try again. maximum pending requests exceeded", HostError),
    ],
)
def test_an_error_line(said, kind):
    with pytest.raises(HostError) as raised:
        decoded(line("fo"), json.dumps({"error": said}))
    assert type(raised.value) is kind
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (404, "model 'qwen9' not found", UnknownModelError),
        (404, 'model "qwen9" not found, try pulling it first', UnknownModelError),
        (400, '"llama3.2" does not support thinking', ParameterError),
        (500, 'think value "high" is not supported for this model', ParameterError),
        (400, "invalid model name", UnknownModelError),
        (500, "llama runner process has terminated", OverloadedError),
        (503, "server busy, please try again", OverloadedError),
    ],
)
def test_errors_of_another_status(status, said, kind):
    error = HOST.wire.failure(status, json.dumps({"error": said}), NAMED)
    assert (type(error), error.status, error.said) == (kind, status, said)


@pytest.mark.parametrize("lines", [(), (line("fo"),), (line("fo"), line("ur"))])
def test_a_stream_without_its_last_line_is_broken(lines):
    with pytest.raises(BrokenStreamError, match="ended before the completion did"):
        decoded(*lines)


@pytest.mark.parametrize(
    "frame",
    [
        *("[]", "7", "{", line(7), line("", 7), line(message=[]), line("a", logprobs={}), last(eval_count=-1)),
        *(last(prompt_eval_count="9"), last(7), line(model=7)),
    ],
)
def test_a_line_of_another_shape_is_a_broken_stream(frame):
    with pytest.raises(BrokenStreamError):
        decoded(frame)
