"""CONTRIBUTING.md shows a strategy, a verifier and a model; here each is put in its folder and run."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tttlab
from tttlab.strategies import strategy_names

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
SHOWN = dict(re.findall(r"```python file=(\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """The files shown, in folders that stand beside the package's own on their import paths."""
    for place, code in SHOWN.items():
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
        package = import_module(f"tttlab.{path.parent.name}")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(path.parent)])
    yield
    for place in SHOWN:
        sys.modules.pop("tttlab." + place.removesuffix(".py").replace("/", "."), None)


def test_the_page_shows_one_of_each():
    assert sorted(Path(place).parts[0] for place in SHOWN) == ["models", "strategies", "verifiers"]


def test_the_three_files_work_as_the_page_says(shown):
    assert "longest_answer" in strategy_names()
    echo = import_module("tttlab.models.echo").Echo()
    run = tttlab.think("The answer is 56", model=echo, strategy="longest_answer", samples=3)
    assert (run.status, run.answer, run.usage.calls) == ("ok", "56", 3)

    verifier = import_module("tttlab.verifiers.is_short").IsShort(characters=2)

    async def checked(problem, think):
        [completion] = await think.complete(problem.prompt)
        verdict = await think.verify(verifier, problem, completion.text)
        think.propose("short" if verdict.passed else "long")

    assert tttlab.think("The answer is 56", model=echo, strategy=checked).answer == "long"
    assert tttlab.think("56", model=echo, strategy=checked).answer == "short"
