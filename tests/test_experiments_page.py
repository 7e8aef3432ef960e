"""The code in docs/experiments.md runs as it stands, from top to bottom, but for what is marked `no-run`."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "experiments.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_its_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) > 20
    session = {"__name__": "__main__"}
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        # Its lines are those of the page in a traceback.
        exec(compile("\n" * line + block[1], str(PAGE), "exec"), session)
