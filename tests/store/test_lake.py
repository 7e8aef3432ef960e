"""A lake of many machines' stores, in an environment with the DuckDB that it needs, on a real PostgreSQL.

What is held true of it stands in `lake_machines.py` and `lake_trouble.py`, which are run there.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import duckdb
import pytest

from tests.store import postgres
from tttlab.errors import OptionError
from tttlab.lake_commands import add_lake_commands
from tttlab.store.lake import connect_lake, extensions, register
from tttlab.store.lake.secrecy import masked, plain

ROOT = Path(__file__).parents[2]
INSTALLING = 300
"""Seconds that pip may take for three wheels."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of an environment like this one, but with the DuckDB of `tttlab[lake]`."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PIP_CONSTRAINT", "PYTHONPATH")}
    try:
        extensions.connection_with_extensions().close()
    except OptionError:
        pass
    else:
        return kept
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["lake"]
    folder = tmp_path_factory.mktemp("duckdb")
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    try:
        done = subprocess.run(
            [*command, "--target", folder, *wanted],
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALLING,
            env=kept,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{' '.join(wanted)} took longer than {INSTALLING} s to install")
    if done.returncode:
        pytest.skip(f"{' '.join(wanted)} cannot be installed: {(done.stderr.splitlines() or ['?'])[-1]}")
    return kept | {"PYTHONPATH": str(folder)}


@pytest.mark.skipif(postgres.programs() is None, reason="there is no PostgreSQL (Debian's package `postgresql`)")
@pytest.mark.parametrize(
    "which",
    ["not slow", pytest.param("slow", marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
    ids=["short", "long"],
)
def test_a_lake_holds_the_rows_of_many_machines(environment, which):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", which]
    done = subprocess.run(
        [*command, *(ROOT / "tests" / "store" / name for name in ("lake_machines.py", "lake_trouble.py"))],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_without_its_extensions_it_says_what_to_install(own_store, monkeypatch):
    monkeypatch.setattr(extensions, "EXTENSIONS", ("not_installed",))
    own_store.mkdir(parents=True)
    for ask in (lambda: connect_lake("dbname=x"), lambda: register(own_store, "dbname=x", own_store)):
        with pytest.raises(OptionError, match=r"extension not_installed: .* pip install 'tttlab\[lake\]'"):
            ask()


def test_with_another_duckdb_it_says_which_one_it_needs(tmp_path, monkeypatch):
    package = tmp_path / "duckdb_extension_of_another"
    (package / "extensions" / "v1.2.3").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(extensions, "EXTENSIONS", ("of_another",))
    with pytest.raises(OptionError, match=f"DuckDB here is {duckdb.__version__}, .* built for 1.2.3: .*lake"):
        connect_lake("dbname=x")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:s3:cr@t@host/lake?sslmode=require", "postgresql://me:***@host/lake?sslmode=require"),
        ("postgresql://me@host/lake", "postgresql://me@host/lake"),
        ("postgresql:///lake?user=me&password=s3cret&host=h", "postgresql:///lake?user=me&password=***&host=h"),
        ("host=h password='s3 cret' user=me", "host=h password=*** user=me"),
        (
            "could not connect to postgres://:s3cret@h:1/x (refused)",
            "could not connect to postgres://:***@h:1/x (refused)",
        ),
        ("postgresql://me:s3/?#@ cr\net@host/lake", "postgresql://me:***@host/lake"),
        ("postgresql://host:5432/lake", "postgresql://host:5432/lake"),
        ("host=h password='it\\'s s3cret' user=me", "host=h password=*** user=me"),
        ("host=h password=s3\\ cret user=me", "host=h password=*** user=me"),
        ("host=h PASSWORD = a&'\"s3cret user='m e'", "host=h PASSWORD = *** user='m e'"),
        ("host=h password='s3cret", "host=h password=***"),
        ("host=h password=s3 cret user=me", "host=h password=***"),
        ("host=h password='s3' cret' user=me", "host=h password=***"),
    ],
)
def test_no_password_is_shown(address, shown):
    assert masked(address) == shown


@pytest.mark.parametrize(
    ("address", "reason", "shown"),
    [
        (
            "postgresql://me:s3/cret@h/x",
            'invalid integer value "s3" for "port"',
            'invalid integer value "***" for "port"',
        ),
        ("postgresql://me:1/s3cret@h/x", 'FATAL:  database "s3cret@h/x" is not', 'FATAL:  database "***" is not'),
        ("postgresql://me:s3%@h/x", 'invalid percent-encoded token: "s3%"', 'invalid percent-encoded token: "***"'),
        ("postgresql://h/x?password=s%zz", 'invalid token: "s%zz"', 'invalid token: "***"'),
        ("host=h password=s3 cret", 'missing "=" after "cret" in it', 'missing "=" after "***" in it'),
        ('host=h password=s3 c"r"et', 'missing "=" after "c"r"et" in it', "missing"),
        ("postgresql://me:s3cret@h/x", 'user "me": no\n\tdatabase "x"', 'user "me": no'),
    ],
)
def test_what_postgresql_repeats_of_a_password_is_not_shown(address, reason, shown):
    error = f'IO Error: Failed at "postgres:{address}"Unable to connect to Postgres at "{address}": {reason}\nLINE 1'
    assert plain(error, address).removeprefix("Unable to connect to PostgreSQL: ") == shown


def test_a_folder_that_has_no_path_is_refused(own_store):
    own_store.mkdir(parents=True)
    for folder in ("~nobody-of-this-name/lake", "/shared/\udcff"):
        for ask in (lambda: connect_lake("dbname=x", folder), lambda: register(own_store, "dbname=x", folder)):  # noqa: B023
            with pytest.raises(OptionError, match="is no folder for a lake"):
                ask()


def test_object_storage_is_refused(own_store):
    own_store.mkdir(parents=True)
    for ask in (lambda: connect_lake("dbname=x", "s3://b/x"), lambda: register(own_store, "dbname=x", "s3://b/x")):
        with pytest.raises(OptionError, match="a folder that every machine sees, not in object storage"):
            ask()


@pytest.mark.parametrize("words", [["register"], ["sql", "SELECT 1"], ["merge"]])
def test_a_command_without_a_catalogue_says_how_to_name_one(words, monkeypatch):
    monkeypatch.delenv("TTTLAB_LAKE", raising=False)
    parser = argparse.ArgumentParser()
    add_lake_commands(parser.add_subparsers())
    options = parser.parse_args(["lake", *words])
    with pytest.raises(OptionError, match=r"--catalog postgresql://.* TTTLAB_LAKE"):
        options.run(options)
