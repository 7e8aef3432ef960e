"""`%models` shows what there is to ask, in a cell; a key that is missing is asked for there."""

import json

from tests.notebook.kernel import PATIENCE

KEY = "planted-and-typed-in-01"


def test_the_hosts_are_a_table(kernel):
    ran = kernel.run("%models")
    assert ran.status == "ok"
    assert "local:smollm2" in ran.plain
    assert "<table" in ran.html
    assert "tttlab models HOST" in ran.plain


def test_a_probe_says_what_came(kernel):
    ran = kernel.run("%models --probe scripted")
    assert ran.status == "ok"
    assert "'The'" in ran.plain


def test_what_there_is_not_is_said_in_one_line(kernel):
    for line, said in (("%models smolm2", "there is no host 'smolm2'"), ("%models --probes x", "--probe")):
        ran = kernel.run(line)
        assert ran.status == "error" or "UsageError" in ran.streams
        assert said in ran.streams + "".join(ran.tracebacks)


def test_its_options_are_completed(kernel):
    assert "--probe" in kernel.complete("%models --pro")


def test_a_missing_key_is_asked_for_once_and_not_echoed(kernel, tmp_path):
    kernel.run(
        f"import os, tttlab\nos.environ['XDG_CONFIG_HOME'] = {str(tmp_path)!r}\nos.environ.pop('GROQ_API_KEY', None)"
    )

    def answer(message):
        asked = kernel.client.get_stdin_msg(timeout=PATIENCE)["content"]
        heard.append(asked)
        kernel.client.input(KEY)

    heard = []
    first = kernel.run(
        "tttlab.model('groq:llama')", when=lambda message: message["msg_type"] == "execute_input", then=answer
    )
    again = kernel.run("tttlab.model('groq:llama')\n")
    assert [asked["password"] for asked in heard] == [True]
    assert "GROQ_API_KEY" in heard[0]["prompt"]
    assert first.plain == again.plain == "<model groq:llama>"
    assert KEY not in json.dumps([message["content"] for message in first.messages], default=str)
    assert KEY not in kernel.run("print(vars(tttlab.model('groq:llama')))").streams
    assert "typed in" in kernel.run("%models").plain
