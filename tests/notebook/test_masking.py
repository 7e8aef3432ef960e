"""Keys that a prompt, a model or a strategy says are in nothing that a notebook keeps or shows."""

import json

KEY = "sk-planted-in-a-notebook-01"
SETUP = f"""
import os
os.environ["NOTEBOOK_API_KEY"] = "{KEY}"
KEY = os.environ["NOTEBOOK_API_KEY"]
reply = Reply(text=f"{{KEY}} is the key. The answer is {{KEY}}", thinking=f"use {{KEY}}", seconds_per_token=0.06)
leaks = ScriptedModel(reply)
letters = ScriptedModel(lambda request: Reply(text=f"The answer is {{KEY}}", chunk=1), name=f"letters {{KEY}}")

class Pieces(ScriptedModel):
    async def stream(self, request):
        from tttlab.events import ChunkDelta, Finish
        import anyio
        for at in range(0, len(KEY), 2):
            yield ChunkDelta(KEY[at:at + 2], 0)
            await anyio.sleep(0.05)
        yield Finish("stop", notes=(f"{{KEY}} was refused",))

pieces = Pieces(name="pieces")

async def votes(problem, think, *, hint=KEY):
    await think.complete(problem.prompt)
    think.propose(KEY, votes={{KEY: 2.0, "56": 1.0}})

async def breaks(problem, think):
    raise ValueError(f"no {{KEY}}")
"""
CELLS = (
    "%%think -m leaks\nWhat of {KEY}?",
    "%%think -m pieces -s votes --reference 56 -o kept\nWhat of {KEY}?",
    "kept",
    "print(kept)",
    "%%think -m letters -s breaks\nWhat of {KEY}?",
    "%%think -m leaks -p hint={KEY}\nWhat?",
    f"%%think -m leeks-{KEY}\nWhat?",
    "%traces SELECT * FROM spans",
    "%traces SELECT * FROM tokens",
    f"%traces SELECT '{KEY}' AS shown",
    f"%traces SELECT {KEY}",
    f"%think_config --replay {KEY}",
)


def test_no_output_of_a_notebook_shows_a_key(kernel):
    assert kernel.run(SETUP).status == "ok"
    try:
        for cell in CELLS:
            ran = kernel.run(cell)
            messages = [message for message in ran.messages if message["msg_type"] != "execute_input"]
            shown = json.dumps([message["content"] for message in messages], ensure_ascii=False, default=str)
            assert KEY not in shown, f"{cell}: {shown[max(0, shown.index(KEY) - 300) : shown.index(KEY) + 100]}"
            pieces = "".join(call["text"]["text"] for news in ran.news for call in news["calls"])
            assert KEY[:8] not in pieces, cell  # Nor as it arrives.
    finally:
        kernel.run("del os.environ['NOTEBOOK_API_KEY']")
