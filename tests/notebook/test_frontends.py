"""The same magics outside of JupyterLab: papermill, nbclient, a terminal, and how soon they are loaded."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.notebook.markup import text_of

MODEL = (
    "%load_ext tttlab\nfrom tttlab.models.scripted import Reply, ScriptedModel\n"
    "m = ScriptedModel(Reply(text='Now I know. The answer is 56.', thinking='let me see', seconds_per_token=0.08))"
)
WIDGET = "application/vnd.jupyter.widget-view+json"


def notebook(*cells):
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=metadata)


def lasting(cell):
    """The cell's outputs that show something, none of which may need a widget."""
    data = [output["data"] for output in cell.outputs if output.get("data")]
    assert not [each for each in data if WIDGET in each]
    return data


def test_a_notebook_that_papermill_ran_keeps_its_results_as_text(tmp_path):
    cells = (
        MODEL,
        "%%think -m m -o run\nWhat is 7 times 8?",
        "%%think -m m\nAgain?",
        "%traces SELECT count(*) AS n FROM runs",
    )
    nbformat.write(notebook(*cells), tmp_path / "in.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "--no-progress-bar", "in.ipynb", "out.ipynb"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(executed)
    for cell in executed.cells[1:3]:
        [data] = lasting(cell)
        assert data["text/plain"].startswith("56")
        assert "Now I know." in text_of(data["text/html"])
    assert executed.cells[2].outputs[-1]["output_type"] == "execute_result"
    [counted] = lasting(executed.cells[3])
    assert counted["text/plain"].splitlines()[2].strip() == "2"


def test_a_cell_that_fails_ends_nbclients_run_and_its_result_is_kept(tmp_path):

    ran = notebook(
        MODEL, "bad = ScriptedModel(Reply(text='a b', fail_after=1))", "%%think -m bad\nWhat?", "print('on')"
    )
    client = NotebookClient(ran, resources={"metadata": {"path": str(tmp_path)}}, timeout=60)
    with pytest.raises(CellExecutionError, match="the script fails here"):
        client.execute()
    assert "Failed: scripted: the script fails here" in lasting(ran.cells[2])[0]["text/plain"]
    assert ran.cells[3].outputs == []


@pytest.fixture
def terminal(tmp_path):
    if sys.platform == "win32":
        pytest.skip("a pseudo-terminal is driven through pexpect, which knows POSIX only")
    import pexpect

    environment = os.environ | {"IPYTHONDIR": str(tmp_path), "COLUMNS": "100", "TERM": "dumb"}
    child = pexpect.spawn(
        sys.executable,
        ["-W", "ignore", "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit"],
        env=environment, encoding="utf-8", timeout=30, dimensions=(40, 100), cwd=str(tmp_path), echo=False,
    )  # fmt: skip
    child.expect_exact("In [1]: ")
    for number, line in enumerate(MODEL.splitlines(), 2):
        child.sendline(line)
        child.expect_exact(f"In [{number}]: ")
    yield child
    child.close(force=True)


def test_a_terminal_shows_one_line_while_the_run_goes_on_and_then_the_result(terminal):
    for line in ("%%think -m m", "What is 7 times 8?", "", ""):
        terminal.sendline(line)
    terminal.expect_exact("Out[4]: ")
    while_running = terminal.before
    assert "\r\x1b[Kdirect · " in while_running
    assert "1 call, 1 running" in while_running
    assert while_running.rstrip().endswith("\r\x1b[K")
    assert "\n" not in while_running[while_running.index("direct") :].strip()
    terminal.expect_exact("In [5]: ")
    assert terminal.before.split()[0] == "56"
    assert "Now I know." in terminal.before


def test_a_terminal_says_errors_in_one_line_and_stops_on_ctrl_c(terminal):
    for line in ("%%think -m m --strtegy x", "What?", "", ""):
        terminal.sendline(line)
    terminal.expect_exact("In [5]: ")
    assert "UsageError: there is no option --strtegy; did you mean 'strategy'?" in terminal.before
    assert "Traceback" not in terminal.before
    terminal.sendline("stalls = ScriptedModel(Reply(text='a b c', stall_after=2))")
    terminal.expect_exact("In [6]: ")
    for line in ("%%think -m stalls -o part", "What?", "", ""):
        terminal.sendline(line)
    terminal.expect_exact("1 call, 1 running")
    terminal.sendintr()
    terminal.expect_exact("In [7]: ")
    assert "KeyboardInterrupt: the run was stopped, and is kept in part" in terminal.before
    assert "Stopped: there was no answer until then." in terminal.before
    assert "Traceback" not in terminal.before
    terminal.sendline("part.status")
    terminal.expect_exact("'stopped'")
    terminal.expect_exact("In [8]: ")


def test_loading_the_extension_imports_nothing_heavy():
    heavy = [
        "opentelemetry",
        "duckdb",
        "pyarrow",
        "altair",
        "ipywidgets",
        "anywidget",
        "anyio",
        "httpx",
        "xllamacpp",
        "pandas",
        "polars",
        "numpy",
    ]
    code = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()\n"
        "before = set(sys.modules)\nshell.run_cell('%load_ext tttlab')\n"
        "assert shell.find_magic('think', 'cell')\n"
        f"print([name for name in {heavy} if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_prints_the_result_and_says_mistakes_in_one_line():
    command = [sys.executable, "-c", "import tttlab.cli, sys; sys.exit(tttlab.cli.main())"]
    done = subprocess.run([*command, "think", "-m", "scripted", "7 * 8?"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("56\n")
    assert done.stderr == ""
    refused = subprocess.run(
        [*command, "think", "-m", "scripted", "-p", "seed=1", "7 * 8?"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr == "tttlab: seed is not a parameter of the strategy: write --seed 1\n"
