"""`tttlab quickstart`: the main job, end to end, on the embedded model, from a terminal.

It executes the quickstart notebook as a person would in JupyterLab, and says where everything lies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tttlab.errors import OptionError, TttlabError
from tttlab.options import resolve, store_folder


def quickstart(output: Path | None = None) -> int:
    """Execute the quickstart and print its answer, a table from SQL, and where its work lies.

    Returns 0. Raises `OptionError` where Jupyter is not installed, and `ModelError` where the model cannot be had.
    """
    if missing := [name for name in ("nbclient", "nbformat", "ipykernel", "reasoning_gym") if find_spec(name) is None]:
        raise OptionError(f"the quickstart needs {', '.join(missing)}: pip install 'tttlab[lab]'")
    folder = (output or _default_output()).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TTTLAB_OUTPUT"] = str(folder)
    os.environ.setdefault("TTTLAB_TRACES", str(store_folder().parent))

    if resolve("replay").value != "only":
        from tttlab.models.weights import fetch

        print(f"model     {fetch()}")
    since = datetime.now(UTC).replace(tzinfo=None)
    executed = _execute(_notebook(), folder)
    _report(executed, folder, since)
    return 0


def _execute(source: Path, folder: Path) -> Path:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from tqdm import tqdm

    notebook = nbformat.read(source, as_version=4)
    target = folder / "quickstart.ipynb"
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=cells, desc="notebook", unit="cell", file=sys.stderr) as bar:

        def executed(**_: Any) -> None:
            bar.update()

        client = NotebookClient(
            notebook,
            timeout=900,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            store_widget_state=False,
            extra_arguments=["--log-level=ERROR"],
            on_cell_executed=executed,
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise TttlabError(
                f"a cell of the quickstart failed: {error.ename}: {error.evalue}; see {target}"
            ) from error
        finally:
            nbformat.write(notebook, target)
    return target


def _report(executed: Path, folder: Path, since: datetime) -> None:
    from tttlab.notebook.display import table_bundle
    from tttlab.recording import connect
    from tttlab.store.queries import query

    connection = connect()
    [first] = query(connection, _FIRST_RUN, {"since": since}).to_pylist()
    print(f"question  {_one_line(first['prompt'])}")
    print(f"answer    {first['answer']}   ({first['status']}, {first['calls']} samples, {first['tokens']} tokens)")
    print("\nAsked of the store in SQL: what the samples said, and how sure the model was of them.\n")
    print(_VOTES.format(run_id=first["run_id"]))
    print(table_bundle(query(connection, _VOTES.format(run_id=first["run_id"])))["text/plain"])
    print(_measured(query(connection, _MEASURED, {"since": since}).to_pylist()[0]))
    for chart in sorted(folder.glob("*.svg")):
        print(f"chart     {chart}")
    print(f"notebook  {executed}")
    print(f"traces    {store_folder()}")
    print(f"\nopen it   {_lab_command(executed)}")


def _measured(row: Mapping[str, Any]) -> str:
    return (
        f"\nMeasured on {row['problems']} products of one-digit numbers, {row['samples']} samples each:\n"
        f"one sample is right {row['one_sample']:.0%} of the time, the vote of all of them on {row['right']} problems\n"
        "(with intervals, and what that does not show, in the notebook).\n"
    )


_FIRST_RUN = """
SELECT runs.run_id, runs.prompt, runs.answer, runs.status, runs.calls, tokens
FROM runs_all AS ran JOIN runs ON runs.run_id = coalesce(ran.replay_of, ran.run_id)
WHERE ran.started >= $since
ORDER BY ran.started LIMIT 1
"""

_VOTES = """\
SELECT answer, count(*) AS samples, round(avg(exp(mean_logprob)), 3) AS mean_token_probability
FROM calls
WHERE run_id = '{run_id}'
GROUP BY answer ORDER BY samples DESC LIMIT 8"""


_MEASURED = """
SELECT count(*) AS problems, any_value(samples) AS samples, avg(share) AS one_sample,
       sum(correct::INTEGER)::INTEGER AS "right"
FROM (
    SELECT run_id, any_value(runs.correct) AS correct, count(*) AS samples,
           avg(coalesce(calls.answer = reference, false)::INTEGER) AS share
    FROM runs JOIN calls USING (run_id)
    WHERE strategy = 'vote_after_examples'
        AND run_id IN (SELECT coalesce(replay_of, run_id) FROM runs_all WHERE started >= $since)
    GROUP BY run_id
)
"""


def _notebook() -> Path:
    package = Path(__file__).parent
    for place in (package / "notebooks", package.parent / "notebooks"):
        if (place / "quickstart.ipynb").is_file():
            return place / "quickstart.ipynb"
    raise TttlabError(f"this installation has no quickstart.ipynb beside {package}: install tttlab again")


def _default_output() -> Path:
    notebooks = Path.cwd() / "notebooks"
    return (notebooks if notebooks.is_dir() else Path.cwd()) / "output"


def _lab_command(executed: Path) -> str:
    lab = Path(sys.executable).with_name("jupyter-lab" + (".exe" if os.name == "nt" else ""))
    return f"{lab if lab.exists() else 'jupyter-lab'} {executed}"


def _one_line(text: str, width: int = 90) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= width else f"{joined[: width - 1]}…"
