"""Notebooks that run from a bundle of their own: running one, and what its cells show."""

import shutil
from pathlib import Path

import nbformat
import papermill
import pytest

import tttlab
from tttlab.store.bundles import read_bundle

PROJECT = Path(__file__).parents[1]


def execute(name, folder, **parameters):
    """Run the notebook of this name in a folder, from a copy of its bundle; the notebook with its outputs.

    It must have recorded no run: all that it did was recorded before.
    """
    bundle = shutil.copytree(PROJECT / "traces" / name, folder / "bundle", ignore=shutil.ignore_patterns("store"))
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("TTTLAB_OUTPUT", raising=False)
        patched.setenv("TTTLAB_CACHE", str(folder / "no weights here"))
        papermill.execute_notebook(
            PROJECT / "notebooks" / f"{name}.ipynb",
            folder / "out.ipynb",
            parameters={"TRACES": str(bundle), **parameters},
            progress_bar=False,
            cwd=folder,
        )
    with tttlab.connect(bundle) as store:
        there = {run for (run,) in store.execute("SELECT run_id FROM runs").fetchall()}
    assert there == {run["run_id"] for run in read_bundle(bundle).runs}
    assert not (folder / "no weights here" / "weights").exists()
    return nbformat.read(folder / "out.ipynb", as_version=4)


def shown(notebook, beginning):
    """What the cell that begins so shows, as text, without progress bars."""
    [cell] = [cell for cell in notebook.cells if cell.source.startswith(beginning)]
    told = [output for output in cell.outputs if output.get("name") != "stderr"]
    return "".join(output.get("data", {}).get("text/plain", output.get("text", "")) for output in told)


def images(notebook):
    """How many cells show a chart."""
    return sum(
        any("image/svg+xml" in output.get("data", {}) for output in cell.get("outputs", [])) for cell in notebook.cells
    )


def is_kept_as_it_should_be(name, *, models):
    """Its bundle is small and of these models, and it is kept without outputs."""
    bundle = read_bundle(PROJECT / "traces" / name)
    assert sum(path.stat().st_size for path in bundle.folder.iterdir() if path.is_file()) < 500_000
    assert {run["model"] for run in bundle.runs} == models
    kept = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)
    assert [cell for cell in kept.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)] == []
