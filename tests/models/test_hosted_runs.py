"""Runs on a hosted model: what its calls record, and that a replay needs neither the host nor the model."""

import asyncio
import json

import pytest

import tttlab
from tests.models.chat_host import WHOLE, chat
from tests.models.loopback import loopback
from tests.models.wire.healthy import ANSWER
from tttlab.errors import RunFailed


def ran(strategy="direct", **options):
    """A run on a host that gives whole answers, and what the host was asked."""

    async def main():
        async with loopback(WHOLE) as host:
            run = await tttlab.athink("What is 7 times 8?", model=chat(host.address), strategy=strategy, **options)
            return run, host

    return asyncio.run(main())


def test_a_call_says_who_was_asked_and_what_was_not_sent():
    run, host = ran()
    assert run.status == "ok"
    sql = "SELECT kind, attributes FROM spans WHERE run_id = ? AND name LIKE 'chat %'"
    [[kind, text]] = tttlab.connect().execute(sql, [run.id]).fetchall()
    said = json.loads(text)
    assert kind == "CLIENT"
    assert said["gen_ai.provider.name"] == "test"
    assert f"http://{said['server.address']}:{said['server.port']}" == host.address
    assert said["gen_ai.response.id"]
    assert "sk-" not in text
    [[answer, output]] = (
        tttlab.connect().execute("SELECT text, output_tokens FROM calls WHERE run_id = ?", [run.id]).fetchall()
    )
    assert answer == ANSWER
    assert output > 0


def test_many_samples_are_many_calls_of_one_run():
    run, host = ran("self_consistency", samples=3, extract="whole_text")
    assert (run.usage.calls, len(host.asked)) == (3, 3)
    assert run.confidence == 1


def test_a_host_that_is_not_there_fails_the_run_in_one_line():
    with pytest.raises(RunFailed) as failed:
        tttlab.think("What is 7 times 8?", model=chat("http://127.0.0.1:9"))
    assert "\n" not in str(failed.value)
    assert failed.value.run.status == "failed"
    assert tttlab.connect().execute("SELECT count(*) FROM calls WHERE status = 'failed'").fetchone() == (1,)


def test_a_key_that_was_used_is_hidden_wherever_it_comes_from(own_store):
    async def main():
        async with loopback(WHOLE) as host:
            model = chat(host.address, key=lambda: "from-a-vault-0123456789")
            for prompt in ("What is 7 times 8?", "Is from-a-vault-0123456789 a key?"):
                await tttlab.athink(prompt, model=model)
            return host.asked[1].body

    assert "from-a-vault-0123456789" in str(asyncio.run(main()))
    prompts = tttlab.connect().execute("SELECT prompt FROM runs ORDER BY started").fetchall()
    assert prompts == [("What is 7 times 8?",), (f"Is {'•' * 23} a key?",)]
