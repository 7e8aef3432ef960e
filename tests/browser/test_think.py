"""`%%think` in JupyterLab: it is seen while it thinks, it can be stopped, its result stays, and no text of it acts."""

import json

import nbformat
import pytest

import tttlab
from tttlab.models.scripted import Reply, ScriptedModel
from tttlab.notebook.display import run_bundle

pytestmark = pytest.mark.browser

SOON = 5
"""Seconds in which a stopped run has ended, on a slow machine too."""

LOAD = """
%load_ext tttlab
from tttlab import ScriptedModel
from tttlab.models.scripted import Reply
stalling = ScriptedModel(Reply(thinking="let me see", text="seven times eight is hm", stall_after=6), name="stalling")
quick = ScriptedModel(Reply(thinking="let me see", text="The answer is 56."), name="quick")
"""

THINK = "%%think -s self_consistency -p samples=2 -m {model} -o kept\nWhat is 7 * 8?"
KEPT = "print(kept.status, kept.answer, kept.usage.output_tokens)"

HOSTILE = """
evil = "<img src=x onerror='window.__pwned=1'><script>window.__pwned=2</script>"
hostile = ScriptedModel(Reply(thinking=evil, text=evil + " and more", stall_after=8), name=evil)

async def proposing(problem, think):
    think.propose(evil, confidence=0.5, votes={evil: 1.0})
    await think.complete(problem.prompt, n=2)
"""


def live(notebook, index):
    return notebook.output(index).locator(".tttlab-live")


def wait_for_both_calls(view):
    """Until each of the two calls has said all that it says before it stalls."""
    view.locator(".tttlab-line", has_text="seven times eight").nth(1).wait_for()


def test_a_run_is_seen_while_it_thinks_and_its_stop_button_keeps_what_it_had(browser):
    notebook = browser.notebook(LOAD, THINK.format(model="stalling"), KEPT)
    notebook.run(0)
    notebook.start(1)
    view = live(notebook, 1)
    wait_for_both_calls(view)
    view.locator(".tttlab-thinking", has_text="let me see").wait_for()
    assert "2 calls, 2 running" in view.inner_text()
    assert notebook.runs(1)
    view.get_by_role("button", name="Stop").click()
    notebook.wait(SOON)
    assert "Stopped" in notebook.text(1)
    assert view.count() == 0
    notebook.run(2)
    assert notebook.text(2).strip() == "stopped None 12"


def test_an_interrupt_of_the_kernel_keeps_what_the_run_had(browser):
    notebook = browser.notebook(LOAD, THINK.format(model="stalling"), KEPT)
    notebook.run(0)
    notebook.start(1)
    wait_for_both_calls(live(notebook, 1))
    notebook.interrupt()
    notebook.wait(SOON)
    assert "the run was stopped, and is kept in kept" in notebook.text(1)
    assert live(notebook, 1).count() == 0
    notebook.run(2)
    assert notebook.text(2).strip() == "stopped None 12"


def test_the_result_stays_in_the_stored_notebook_without_a_kernel(browser):
    notebook = browser.notebook(LOAD, THINK.format(model="quick"), THINK.format(model="quick").replace("-o kept", ""))
    notebook.run(0, 1, 2)
    shown = [notebook.text(1), notebook.text(2)]
    for text in shown:
        assert "56" in text
        assert "self_consistency(samples=2" in text
    stored = notebook.save()
    assert "widget" not in json.dumps([cell["outputs"] for cell in stored["cells"]])
    browser.close_notebooks()
    again = browser.open(notebook.name, kernel=False)
    assert [again.text(1), again.text(2)] == shown


def test_the_result_keeps_its_bars_and_its_bounds_in_a_notebook_that_is_not_trusted(browser):
    replies = iter(["56", "56", "56", "54"])
    model = ScriptedModel(lambda _: Reply(text=next(replies)))
    run = tttlab.think("x" * 500, model=model, strategy="self_consistency", samples=4)
    outputs = [nbformat.v4.new_output("display_data", run_bundle(run))]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("run", outputs=outputs)])
    nbformat.write(made, browser.server.folder / "foreign.ipynb")
    notebook = browser.open("foreign.ipynb", kernel=False)
    assert "confidence 0.75" in notebook.text(0)
    bars = notebook.output(0).locator("span[style*='height:0.7em']")
    drawn = bars.evaluate_all(
        "all => all.map(bar => [getComputedStyle(bar).backgroundColor, bar.getBoundingClientRect().width])"
    )
    assert {colour for colour, _ in drawn} == {"rgb(142, 142, 142)"}
    [first, second] = [width for _, width in drawn]
    assert first == pytest.approx(3 * second, rel=0.02)
    assert second > 10
    wrapped = notebook.output(0).locator("div[style*='overflow-wrap']")
    assert wrapped.count() >= 2


def test_what_a_model_wrote_stays_text_while_it_thinks_and_afterwards(browser):
    notebook = browser.notebook(LOAD + HOSTILE, "%%think -s proposing -m hostile -o kept\n<b>{evil}</b>", "kept")
    notebook.run(0)
    notebook.start(1)
    view = live(notebook, 1)
    view.locator(".tttlab-thinking", has_text="<img src=x").wait_for()
    view.locator(".tttlab-best", has_text="<script>window.__pwned=2</script>").wait_for()
    assert view.locator("img, script").count() == 0
    view.get_by_role("button", name="Stop").click()
    notebook.wait(SOON)
    notebook.run(2)
    for index in (1, 2):
        assert "<img src=x onerror='window.__pwned=1'>" in notebook.text(index)
        assert notebook.output(index).locator("img, script, b").count() == 0
    assert browser.page.evaluate("window.__pwned") is None
