"""The first of the README's two commands, as somebody would run it: `tttlab quickstart` on the real model."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import tttlab

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    done = subprocess.run(
        [Path(sys.executable).with_name("tttlab"), "quickstart"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(folder),
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def _environment(folder):
    inherited = {name: value for name, value in os.environ.items() if name != "TTTLAB_OUTPUT"}
    return {**inherited, "TTTLAB_TRACES": str(folder / "traces")}


@pytest.fixture(scope="module")
def notebook(quickstart):
    return nbformat.read(quickstart[0] / "output" / "quickstart.ipynb", as_version=4)


def outputs(notebook, beginning):
    [cell] = [cell for cell in notebook.cells if cell.source.startswith(beginning)]
    return cell.outputs


def said(notebook, beginning):
    return "".join(output.get("text", "") for output in outputs(notebook, beginning))


def test_it_prints_the_answer_a_table_and_where_everything_lies(quickstart):
    folder, printed = quickstart
    assert re.search(r"^question  What is 6 times 7\?$", printed, re.MULTILINE)
    assert re.search(r"^answer    \S+ .*16 samples, \d+ tokens", printed, re.MULTILINE)
    assert "SELECT answer, count(*) AS samples" in printed
    assert re.search(r"^answer +samples +mean_token_probability$", printed, re.MULTILINE)
    assert re.search(r"48 products .*32 samples each", printed)
    for kind in ("chart", "notebook", "traces"):
        for line in re.findall(rf"^{kind} +(.*)$", printed, re.MULTILINE):
            assert Path(line).exists()
    assert re.search(r"^open it   .*jupyter-lab .*quickstart.ipynb$", printed, re.MULTILINE)
    assert sorted(path.stem for path in (folder / "output").glob("*.svg")) == [
        "accuracy",
        "curve",
        "run_tree",
        "token_strip",
    ]


def test_the_notebook_ran_to_its_end_without_an_error(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [output for cell in code for output in cell.outputs if output.output_type == "error"] == []


def test_every_result_in_it_lasts_without_a_kernel(notebook):
    assert "application/vnd.jupyter.widget-state+json" not in notebook.metadata.get("widgets", {})
    for beginning, kind in [
        ("%%think", "text/html"),
        ("%%traces\nSELECT answer", "text/html"),
        ("kept(token_strip", "image/svg+xml"),
    ]:
        assert any(kind in output.get("data", {}) for output in outputs(notebook, beginning))


def test_what_it_measured_is_what_the_store_holds(quickstart, notebook):
    connection = tttlab.connect(quickstart[0] / "traces")
    problems, samples = connection.execute(
        "SELECT count(DISTINCT problem_id), count(*) FROM runs JOIN calls USING (run_id)"
        " WHERE strategy = 'vote_after_examples'"
    ).fetchone()
    assert (problems, samples) == (48, 48 * 32)
    [(tokens, recorded)] = connection.execute(
        "SELECT (SELECT sum(output_tokens) FROM calls), (SELECT count(*) FROM tokens)"
    ).fetchall()
    assert recorded <= tokens  # the model counts tokens of a merged character, which are one row
    assert recorded > 0.99 * tokens
    single = connection.execute(
        "SELECT avg(coalesce(calls.answer = reference, false)::INTEGER) FROM runs JOIN calls USING (run_id)"
        " WHERE strategy = 'vote_after_examples'"
    ).fetchone()[0]
    assert f"maj@k (majority vote)                  1 samples  {single:.2f}" in said(notebook, "for point in points")


ONLY_LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # A new namespace's loopback is down, and a kernel is talked to over it.
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x49))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="cutting the network off needs root")
def test_copied_with_its_bundle_it_runs_again_without_model_and_network(quickstart, notebook, tmp_path):
    command = Path(sys.executable).with_name("tttlab")
    bundle = tmp_path / "elsewhere" / "quickstart"
    subprocess.run([command, "export", "--to", bundle], check=True, env=_environment(quickstart[0]))
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", ONLY_LOOPBACK, command, "quickstart"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={
            **_environment(tmp_path),
            "TTTLAB_TRACES": str(bundle),
            "TTTLAB_REPLAY": "only",
            "TTTLAB_CACHE": str(tmp_path / "no weights here"),
        },
    )
    assert done.returncode == 0, done.stderr
    again = nbformat.read(tmp_path / "output" / "quickstart.ipynb", as_version=4)
    assert [_lasting(cell) for cell in again.cells] == [_lasting(cell) for cell in notebook.cells]
    assert "replayed 16 of 16 calls, 0 new tokens" in str(again.cells)
    assert not (tmp_path / "no weights here" / "weights").exists()
    for chart in (quickstart[0] / "output").glob("*.svg"):
        assert (tmp_path / "output" / chart.name).read_text() == chart.read_text()


def _lasting(cell):
    """What a cell shows, but for where the store lies, that it was replayed, and a progress bar's times."""
    shown = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stderr":
            continue
        data = output.get("data", {"text/plain": output.get("text", "")})
        text = data.get("text/plain", "")
        kept = [line for line in text.splitlines() if not line.startswith("replayed ")]
        shown.append([re.sub(r" in \S+$", "", line) for line in kept])
        shown.append(data.get("image/svg+xml"))
    return cell.source, shown


def test_more_samples_buy_accuracy_on_this_task(notebook):
    differences = re.findall(
        r"32 samples minus 1: (\S+) \[(\S+), (\S+)\], n=48", said(notebook, "from tttlab.experiments.intervals")
    )
    assert len(differences) == 2
    majority = [float(number) for number in differences[0]]
    assert majority[1] > 0
