"""The charts draw in JupyterLab without a network, and what a model wrote stays text in them."""

import pytest

from tests.charts.test_drawing import HOSTILE

pytestmark = pytest.mark.browser


@pytest.fixture
def prelude(tests_importable):
    return f"""{tests_importable}
from tests.charts.teller import saying, think
from tests.charts.test_drawing import hostile_run
from tttlab.charts import curve, run_tree, token_strip
"""


def marks(output, kind):
    """How many marks of this kind stand in the plot of an output."""
    return output.locator(f".vega-embed svg.marks .mark-{kind}.role-mark > *").count()


def test_the_three_charts_draw_all_their_marks(browser, prelude):
    notebook = browser.notebook(
        f"{prelude}\nrun = think('self_consistency', saying('54', '56'), samples=16, reference='54')",
        "curve(run)",
        "token_strip(run, calls=16)",
        "run_tree(run)",
    )
    notebook.run(0, 1, 2, 3)
    for cell, symbols, rects in ((1, 16, 0), (2, 0, 32), (3, 0, 17)):
        output = notebook.output(cell)
        output.locator(".jp-RenderedVegaLite .vega-embed svg.marks").first.wait_for()
        assert (marks(output, "symbol"), marks(output, "rect")) == (symbols, rects)
    assert "n = 16 proposed answers" in notebook.text(1)
    assert "54 · confidence 0.5" in notebook.text(3)


def test_what_a_model_wrote_stays_text_in_charts_and_their_tooltips(browser, prelude):
    notebook = browser.notebook(
        f"{prelude}\nrun = hostile_run()", "token_strip(run)", "curve(run, compute='seconds')", "run_tree(run)"
    )
    notebook.run(0, 1, 2, 3)
    tooltip = browser.page.locator("#vg-tooltip-element.visible")
    said = []
    for cell, kind, count in ((1, "text", len(HOSTILE)), (2, "symbol", 3), (3, "rect", 3)):
        drawn = notebook.output(cell).locator(f".vega-embed svg.marks .mark-{kind}.role-mark > *")
        for number in range(count):
            browser.page.mouse.move(0, 0)
            drawn.nth(number).hover(force=True)
            tooltip.wait_for()
            said.append(tooltip.inner_text())
            assert tooltip.locator("img, script, a, iframe").count() == 0
    for text in HOSTILE[2:7]:
        assert any(text in one for one in said), text
    assert browser.page.evaluate("window.__pwned") is None
    assert browser.page.locator(".jp-OutputArea script, .jp-OutputArea img").count() == 0


def test_a_stored_chart_is_drawn_without_a_kernel(browser, prelude):
    notebook = browser.notebook(f"{prelude}\ncurve(think('self_consistency', saying('54'), samples=3))")
    notebook.run(0)
    [output] = notebook.save()["cells"][0]["outputs"]
    assert output["data"]["image/svg+xml"].startswith("<svg")
    browser.close_notebooks()
    stored = browser.open(notebook.name, kernel=False)
    stored.output(0).locator(".vega-embed svg.marks").first.wait_for()
    assert marks(stored.output(0), "symbol") == 3
