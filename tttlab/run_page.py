"""How a run came to be, as a page of text: what was asked of which strategy and model, with what, at what cost."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tttlab.errors import StoreError
from tttlab.notebook.legible import counted, dollars_said, legible, seconds_said
from tttlab.store.archives import quoted
from tttlab.store.queries import query
from tttlab.store.run_ids import run_ids

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Pair = tuple[str, str]
_IDS = "SELECT run_id, replay_of FROM runs_all WHERE run_id IS NOT NULL"
_RUN = "SELECT * FROM runs WHERE run_id = $run"
_REPEATS = "SELECT run_id, started FROM runs_all WHERE replay_of = $run ORDER BY run_id"
_USAGE = "SELECT * FROM usage WHERE run_id = $run ORDER BY role, model, status"
_DEEPER = (
    "SELECT role, branch, text, tokens FROM calls WHERE run_id = {run}",
    "SELECT * FROM answers WHERE run_id = {run} ORDER BY step",
    "SELECT * FROM branches WHERE run_id = {run}",
    "SELECT * FROM tokens WHERE run_id = {run} ORDER BY sequence LIMIT 40",
)
_INDENT = "  "
_ORDINARY = re.compile(r"[\w.-]+")
_VERSIONS_OF = ("git_commit", "git_changed")


def run_page(connection: DuckDBPyConnection, word: str) -> str:
    """The page of a run, by its id or a beginning that only one has.

    A note of a replay leads to the run that was repeated. Raises `StoreError` for a run that there is not.
    """
    there = {row["run_id"]: row["replay_of"] for row in _rows(connection, _IDS)}
    [found] = run_ids([word], there)
    run_id = there[found] or found
    rows = _rows(connection, _RUN, run_id)
    if not rows:
        raise StoreError(f"{found} repeats the run {run_id}, which is not in the store any more")
    run = rows[0]
    first = f"run {run_id}" if run_id == found else f"run {run_id}, repeated as {found}"
    parts = [
        _section(first, _outcome(run)),
        _section("problem", _problem(run)),
        _section(f"strategy {run['strategy']}", _pairs(run["parameters"]) or [("", "no parameters")]),
        _section(f"model {run['model']}", _pairs(run["model_identity"]) or [("", "it says nothing of what it is")]),
        _section("seed and budget", [("seed", str(run["seed"])), ("budget", _budget(run["budget"]))]),
        _section("options, and where each came from", _options(run["options"])),
        _section("versions", _versions(run["environment"])),
        _section("spend by role", _usage(_rows(connection, _USAGE, run_id))),
        _section("replay", _replay(run, _rows(connection, _REPEATS, run_id))),
        _section("to look deeper", [("", _command(each, run_id)) for each in _DEEPER]),
    ]
    return "\n\n".join(parts)


def _command(statement: str, run: str) -> str:
    """As a shell takes it: a run of a stranger's may have any id."""
    filled = statement.format(run=quoted(run))
    return f'tttlab sql "{filled}"' if _ORDINARY.fullmatch(run) else f"tttlab sql {shlex.quote(filled)}"


def _rows(connection: DuckDBPyConnection, sql: str, run: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query(connection, sql, {"run": run} if run else None).to_pylist()
    return found


def _section(head: str, pairs: Sequence[Pair]) -> str:
    width = max((len(name) for name, _ in pairs), default=0)
    lines = [legible(head)]
    for name, value in pairs:
        # What a model or a user wrote may have several lines, and characters that a terminal would obey.
        first, *more = legible(value).splitlines() or [""]
        label = f"{legible(name):{width}}{_INDENT}" if width else ""
        lines.append(f"{_INDENT}{label}{first}".rstrip())
        lines += [f"{_INDENT}{' ' * len(label)}{line}".rstrip() for line in more]
    return "\n".join(lines)


def _outcome(run: Mapping[str, Any]) -> list[Pair]:
    status = run["status"]
    if status == "incomplete":
        status += ": it is still running, or its process was killed"
    confidence = "" if run["confidence"] is None else f" (confidence {run['confidence']:.2f})"
    judged = {True: ", correct", False: ", not correct", None: ""}[run["correct"]]
    answer = "none" if run["answer"] is None else f"{run['answer']}{confidence}{judged}"
    return _known(
        ("started", None if run["started"] is None else f"{run['started']:%Y-%m-%d %H:%M:%S} UTC"),
        ("took", None if run["seconds"] is None else seconds_said(run["seconds"])),
        ("status", status),
        ("answer", answer),
        ("error", run["error"]),
        ("trace", run["trace_id"]),
    )


def _problem(run: Mapping[str, Any]) -> list[Pair]:
    return _known(
        ("prompt", run["prompt"]),
        ("reference", run["reference"]),
        ("extractor", run["extractor"]),
        ("id", run["problem_id"]),
    )


def _known(*pairs: tuple[str, str | None]) -> list[Pair]:
    return [(name, value) for name, value in pairs if value is not None]


def _pairs(said: str | None) -> list[Pair]:
    read = json.loads(said) if said else {}
    if not isinstance(read, dict):
        return [("", _plain(read))]
    return [(name, _plain(value)) for name, value in read.items()]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _budget(said: str | None) -> str:
    return ", ".join(f"{value} {unit}" for unit, value in _pairs(said)) or "none"


def _options(said: str | None) -> list[Pair]:
    return [
        (name, f"{option.get('value')}  ({option.get('source')})" if isinstance(option, dict) else _plain(option))
        for name, option in _object(said).items()
    ]


def _versions(said: str | None) -> list[Pair]:
    read = {name: _plain(value) for name, value in _object(said).items()}
    commit = read.get("git_commit", "none: not in a git repository")
    if read.get("git_changed") == "true":
        commit += ", with changes that were not committed"
    return [*((name, value) for name, value in read.items() if name not in _VERSIONS_OF), ("git commit", commit)]


def _object(said: str | None) -> dict[str, Any]:
    """What tttlab writes as an object; another program may have written anything under its name."""
    read = json.loads(said) if said else {}
    return read if isinstance(read, dict) else {"": read}


def _usage(rows: Iterable[Mapping[str, Any]]) -> list[Pair]:
    found = []
    for row in rows:
        ended = "" if row["status"] == "ok" else f", {row['status']}"
        said = f"{counted(row['calls'], 'call')} of {row['model']}{ended}: {counted(row['tokens'] or 0, 'token')}"
        said += f" ({row['prompt_tokens'] or 0:,} prompt, {row['output_tokens'] or 0:,} output"
        said += f", {row['thinking_tokens'] or 0:,} of it thinking)"
        price = "" if row["dollars"] is None else f", {dollars_said(row['dollars'])}"
        found.append((row["role"] or "no role", said + price))
    return found or [("", "no call has run and ended")]


def _replay(run: Mapping[str, Any], repeats: Sequence[Mapping[str, Any]]) -> list[Pair]:
    replayed, calls = run["replayed_calls"], run["calls"]
    own = "no call was replayed"
    if replayed:
        own = f"{replayed:,} of {counted(calls or 0, 'call')} were replayed, {run['new_tokens'] or 0:,} tokens were new"
    said = [("this run", own)]
    if repeats:
        times = f"repeated from its record {counted(len(repeats), 'time')}, last as {repeats[-1]['run_id']}"
        said.append(("since then", times))
    return said
