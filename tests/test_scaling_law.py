"""The notebook that measures a scaling law live, on few puzzles."""

from pathlib import Path

import nbformat
import papermill
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "scaling-law.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TTTLAB_TRACES", str(folder / "traces"))
        papermill.execute_notebook(
            NOTEBOOK,
            folder / "out.ipynb",
            parameters={"PROBLEMS": 6, "SAMPLES": 16},
            progress_bar=False,
            cwd=folder,
        )
    return nbformat.read(folder / "out.ipynb", as_version=4)


def shown(notebook, beginning):
    [cell] = [cell for cell in notebook.cells if cell.source.startswith(beginning)]
    outputs = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in cell.outputs]
    return "\n".join(outputs)


def test_every_cell_shows_what_it_measured(executed):
    assert [cell for cell in executed.cells if cell.cell_type == "code" and cell.execution_count is None] == []
    table = shown(executed, "import pandas as pd")
    assert all(f" {budget} " in table for budget in (0, 25, 50, 100, 200, 400))
    assert "each doubling of the tokens adds" in shown(executed, "import numpy")
    assert "thinking alone" in shown(executed, "def accuracy_of")
    assert " steps, " in shown(executed, "from tttlab.countdown.checking")


def test_the_notebook_is_kept_without_outputs():
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert [cell for cell in kept.cells if cell.cell_type == "code" and cell.outputs] == []
