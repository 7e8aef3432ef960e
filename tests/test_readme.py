"""The README's Python runs, and its commands are the ones that there are."""

import re
from pathlib import Path

import pytest

import tttlab
from tttlab.strategies import strategy_names

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"<!-- python -->\n```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.embedded
def test_its_python_runs(capsys):
    namespace = {}
    for code in PYTHON:
        exec(compile(code, "README.md", "exec"), namespace)
    assert len(PYTHON) == 2
    assert namespace["run"].status == "ok"
    strategies = tttlab.connect().execute("SELECT strategy FROM runs ORDER BY started").fetchall()
    assert strategies == [("self_consistency",), ("shortest",)]
    assert "self_consistency" in capsys.readouterr().out


def test_it_names_every_strategy():
    listed = README[README.index("- **Strategies**") : README.index("- **Verifiers**")]
    assert sorted(re.findall(r"`(\w+)`", listed)) == strategy_names()


def test_its_commands_are_one_line_each():
    for marker in ("quickstart", "tests"):
        [command] = re.findall(rf"<!-- {marker} -->\n```bash\n(.*?)```", README, re.DOTALL)
        assert len(command.splitlines()) == 1
