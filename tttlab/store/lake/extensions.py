"""DuckDB's extensions for a lake, loaded from the wheels that they were installed with: nothing is fetched."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import duckdb

from tttlab.errors import OptionError
from tttlab.store.archives import quoted

EXTENSIONS = ("postgres_scanner", "ducklake")
NO_DOWNLOADS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_ADVICE = "make an environment for it with pip install 'tttlab[lake]'"


def connection_with_extensions() -> duckdb.DuckDBPyConnection:
    """A connection to an empty database that can open a lake. Raises `OptionError` where it cannot be had."""
    paths = [_path(name) for name in EXTENSIONS]
    connection = duckdb.connect(config=NO_DOWNLOADS)
    try:
        connection.execute("SET enable_progress_bar = false")
        for path in paths:
            connection.execute(f"LOAD {quoted(path)}")
    except duckdb.Error as error:
        connection.close()
        raise OptionError(f"DuckDB cannot load its extension for a lake: {str(error).splitlines()[0]}") from error
    return connection


def _path(name: str) -> Path:
    try:
        folder = Path(str(files(f"duckdb_extension_{name}"))) / "extensions"
    except ModuleNotFoundError:
        raise OptionError(f"a lake needs DuckDB's extension {name}: {_ADVICE}") from None
    path = folder / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not path.is_file():
        built_for = ", ".join(sorted(each.name.removeprefix("v") for each in folder.glob("v*"))) or "another one"
        raise OptionError(
            f"DuckDB here is {duckdb.__version__}, and its extension {name} is built for {built_for}: {_ADVICE}"
        )
    return path
