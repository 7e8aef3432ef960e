"""The bundles that are kept with the project: each notebook runs again from its own, without a model."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tttlab.store.bundles import read_bundle

TRACES = Path(__file__).parents[1] / "traces"
HOW = """make it anew, in an empty folder whose path tells nothing:
TTTLAB_TRACES=new tttlab quickstart && TTTLAB_TRACES=new tttlab export --to .../traces/quickstart"""


@pytest.mark.timeout(300)
def test_the_quickstart_runs_from_its_bundle(tmp_path):
    bundle = shutil.copytree(TRACES / "quickstart", tmp_path / "quickstart")
    done = subprocess.run(
        [Path(sys.executable).with_name("tttlab"), "quickstart"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={
            **{name: value for name, value in os.environ.items() if name != "TTTLAB_OUTPUT"},
            "TTTLAB_TRACES": str(bundle),
            "TTTLAB_REPLAY": "only",
            "TTTLAB_CACHE": str(tmp_path / "no weights here"),
        },
    )
    assert done.returncode == 0, f"{done.stderr}\n{HOW}"
    notebook = nbformat.read(tmp_path / "output" / "quickstart.ipynb", as_version=4)
    assert "replayed 16 of 16 calls, 0 new tokens" in str(notebook.cells)


def test_it_is_small_and_names_no_folder_of_the_machine_that_made_it():
    bundle = read_bundle(TRACES / "quickstart")
    assert sum(path.stat().st_size for path in bundle.folder.iterdir() if path.is_file()) < 500_000
    assert {run["model"] for run in bundle.runs} == {"local:smollm2"}
