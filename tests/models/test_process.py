"""A process that ends or forks while the engine runs: it ends well, and what was recorded is kept."""

import os
import subprocess
import sys

import pytest

import tttlab

pytestmark = pytest.mark.embedded

ENDING = """
import threading
from contextlib import suppress
import tttlab
from tttlab.errors import RunFailed
from tttlab.events import TokenDelta

class Heard:
    name, can = "heard", tttlab.model("local:smollm2").can
    begun = threading.Event()

    async def stream(self, request):
        async for event in tttlab.model("local:smollm2").stream(request):
            if {when}:
                self.begun.set()
            yield event

async def ask(problem, think):
    async def one(number):
        await think.complete(f"{{number}} " + "word " * {words}, max_tokens=400, grammar='root ::= "ab"*')
    await think.map(one, range(6))

def main():
    with suppress(RunFailed):
        tttlab.think("Go.", strategy=ask, model=Heard())

threading.Thread(target=main, daemon=True).start()
assert Heard.begun.wait(60)
"""

FORKING = """
import asyncio, multiprocessing
import tttlab
from tttlab.errors import ModelError
from tttlab.types import Message, Request, Sampling

async def said(model):
    asked = Request(messages=(Message("user", "Say a word."),), sampling=Sampling(max_tokens=3), seed=1)
    return [event async for event in model.stream(asked)]

def use_it():
    for use in (lambda: asyncio.run(said(model)), lambda: tttlab.model("local:smollm2")):
        try:
            use()
        except ModelError as error:
            print(error, flush=True)

model = tttlab.model("local:smollm2")
before = len(asyncio.run(said(model)))
child = multiprocessing.get_context("fork").Process(target=use_it)
child.start()
child.join()
assert child.exitcode == 0
assert len(asyncio.run(said(model))) == before
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("when", "words"), [("True", 200), ("isinstance(event, TokenDelta)", 5)], ids=["at a prompt", "generating"]
)
def test_a_process_that_ends_in_mid_generation_ends_well_and_its_run_is_kept(own_store, when, words):
    ended = run(ENDING.format(when=when, words=words))
    assert (ended.returncode, ended.stderr) == (0, "")
    store = tttlab.connect()
    assert store.sql("SELECT status, error LIKE '%was closed%' FROM runs").fetchall() == [("failed", True)]
    assert store.sql("SELECT count(*) FROM calls WHERE status = 'incomplete'").fetchall() == [(0,)]
    assert store.sql("SELECT count(*) > 0 FROM tokens").fetchall() == [(words == 5,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_leaves_the_engine_to_its_parent_and_says_what_to_do():
    ended = run(FORKING)
    assert ended.returncode == 0, ended.stderr
    asked, loaded = ended.stdout.splitlines()
    assert asked == loaded
    assert "forked after one was loaded: start it anew, as in multiprocessing.get_context('spawn')" in asked
