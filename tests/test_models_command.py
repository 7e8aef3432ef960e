"""`tttlab models` says what there is to ask, and never shows a key."""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tttlab.cli import main
from tttlab.models import credentials
from tttlab.models.credentials import key_file
from tttlab.models.hosts import hosts

KEY = "planted-key-for-my-server"
CHUNKS = (
    {"delta": {"role": "assistant", "reasoning": "hm"}},
    {
        "delta": {"content": "yes"},
        "logprobs": {
            "content": [
                {
                    "token": "yes",
                    "logprob": -0.25,
                    "bytes": None,
                    "top_logprobs": [{"token": "yes", "logprob": -0.25, "bytes": None}],
                }
            ]
        },
    },
    {"delta": {}, "finish_reason": "length"},
)
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


class _Server(BaseHTTPRequestHandler):
    """Answers as vLLM does: a list of models, and one streamed completion, to whoever has the key."""

    def do_GET(self):
        listed = {"object": "list", "data": [{"id": "qwen3"}, {"id": "llama\x1b[31m"}]}
        self._answer("application/json", json.dumps(self.server.listed or listed).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        said = [{"choices": [{"index": 0, **choice}]} for choice in CHUNKS] + [{"choices": [], "usage": USAGE}]
        frames = [json.dumps({"id": "c1", "model": "qwen3-served", **each}) for each in said]
        self._answer("text/event-stream", "".join(f"data: {frame}\n\n" for frame in [*frames, "[DONE]"]).encode())

    def _answer(self, kind, body):
        known = self.headers.get("authorization") == f"Bearer {KEY}"
        body = (
            body
            if known
            else json.dumps({"error": {"message": f"bad key {self.headers.get('authorization')}"}}).encode()
        )
        self.send_response(200 if known else 401)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch, tmp_path):
    for host in hosts().values():
        for variable in (host.key_variable, host.address_variable):
            if variable:
                monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(credentials, "_typed", {})
    monkeypatch.setenv("COLUMNS", "500")


@pytest.fixture
def server(monkeypatch):
    served = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    served.listed = None
    thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{served.server_port}")
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
def key():
    key_file().parent.mkdir(parents=True)
    key_file().write_text(f'vllm = "{KEY}"\n')
    key_file().chmod(0o600)


def told(capsys, *arguments):
    status = main(["models", *arguments])
    said = capsys.readouterr()
    assert KEY not in said.out + said.err
    return status, said.out, said.err


def row(out, name):
    [line] = [line for line in out.splitlines() if line.startswith(name)]
    return line


def test_hosts_are_listed_with_where_their_key_is_from_and_whether_they_answer(server, key, capsys, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "planted-deepseek-key")
    status, out, _ = told(capsys)
    assert status == 0
    assert "planted-deepseek-key" not in out
    assert "yes, 2 models" in row(out, "vllm:NAME")
    assert "config/tttlab" in row(out, "vllm:NAME")
    assert "DEEPSEEK_API_KEY" in row(out, "deepseek:NAME")
    assert "not asked" in row(out, "deepseek:NAME")
    assert "missing: GROQ_API_KEY" in row(out, "groq:NAME")
    assert row(out, "lmstudio:NAME").split()[4:6] == ["needed", "no"]
    assert row(out, "local:smollm2")


def test_a_hosts_models_are_listed_with_what_they_can_do_and_cost(server, key, capsys):
    status, out, _ = told(capsys, "vllm")
    assert status == 0
    assert "free" in row(out, "qwen3")
    assert "thinking" in row(out, "qwen3")
    assert "\x1b" not in out


def test_a_probe_says_what_one_token_shows(server, key, capsys):
    status, out, _ = told(capsys, "--probe", "vllm:qwen3")
    assert status == 0
    facts = dict(line.split(maxsplit=1) for line in out.splitlines()[2:13] if len(line.split(maxsplit=1)) > 1)
    assert (facts["answer"], facts["logprobs"], facts["finished"]) == ("'yes'", "yes", "length")
    assert facts["thinking"] == "full, 2 characters"
    assert facts["usage"].startswith("9 prompt, 2 output")
    assert "qwen3-served" in row(out, "served by")


@pytest.mark.parametrize("arguments", [["vllm"], ["--probe", "vllm:qwen3"]])
def test_a_wrong_key_is_one_line_that_does_not_repeat_it(server, key, capsys, caplog, arguments):
    caplog.set_level(logging.DEBUG)
    key_file().write_text('vllm = "planted-key-that-is-wrong"\n')
    status, out, err = told(capsys, *arguments)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "bad key Bearer •••" in err
    assert "planted-key-that-is-wrong" not in err + caplog.text
    assert "vllm" in err
    assert "401" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["groq"], "set GROQ_API_KEY"),
        (["grok"], "did you mean 'groq'"),
        (["lmstudio"], "lmstudio"),
        (["--probe", "groq:x"], "set GROQ_API_KEY"),
        (["openai-compatible"], "has no address"),
    ],
)
def test_what_cannot_be_asked_is_one_line(capsys, arguments, said):
    status, out, err = told(capsys, *arguments)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert said in err


@pytest.mark.parametrize("listed", [[], {}, {"data": 3}, {"models": [{"no": 1}]}, "text", {"data": [None]}])
def test_a_list_that_is_none_is_an_error(server, key, capsys, listed):
    server.listed = {"wrapped": listed} if listed == [] else listed
    status, _, err = told(capsys, "vllm")
    if listed != {}:
        assert status == 1
        assert "is no list of models" in err


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ({"models": [{"name": "models/gemini-3-pro"}]}, ["gemini-3-pro"]),
        ({"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}]}, ["qwen3:8b"]),
        ([{"id": "a"}, {"id": "b"}], ["a", "b"]),
    ],
)
def test_the_shapes_of_other_hosts_are_read(server, key, capsys, listed, names):
    server.listed = listed
    _, out, _ = told(capsys, "vllm")
    assert [line.split()[0] for line in out.splitlines()[2 : 2 + len(names)]] == names


def test_every_hosts_key_is_known_by_the_name_of_its_variable():
    from tttlab.masking import holds_secret

    assert [host.name for host in hosts().values() if host.key_variable and not holds_secret(host.key_variable)] == []
