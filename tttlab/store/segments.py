"""Segments: small Parquet files that a process publishes whole, by rename, and never touches again.

A segment's name carries the checksum of its bytes, so a damaged one is known before any query meets it.
"""

from __future__ import annotations

import os
import re
import secrets
import time
import zlib
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from tttlab.store.checksums import is_unchanged
from tttlab.store.columns import SPANS, TOKENS
from tttlab.store.damaged import NO_FILE

Kind = Literal["spans", "tokens"]
KINDS: tuple[Kind, ...] = ("spans", "tokens")
VERSION = 1
"""Of the columns of segments: the step of the schema that has the same. Later steps make theirs of these."""
SCHEMAS: dict[Kind, pa.Schema] = {"spans": SPANS, "tokens": TOKENS}

SEED = "0-seed.parquet"
"""An empty segment that is always there, since a query over none is an error, and the first gives the schema."""

_CHECKSUM = re.compile(r"-([0-9a-f]{8})\.parquet$")


def segment_folder(store: Path, kind: Kind) -> Path:
    """Where the segments of a kind are written."""
    return store / "segments" / f"v{VERSION}" / kind


def segment_folders(store: Path, kind: Kind) -> list[Path]:
    """Where the segments of a kind lie: those of earlier versions first, which older processes may still write."""
    return [store / "segments" / f"v{version}" / kind for version in range(1, VERSION + 1)]


def segment_version(segment: Path) -> int:
    """The version of the schema that a segment was written with, from the folder that it lies in."""
    return int(segment.parent.parent.name.removeprefix("v"))


class SegmentWriter:
    """Publishes segments under names of its own, so that many processes can write to one store at once."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._writer = f"{os.getpid():x}{secrets.token_hex(4)}"
        self._numbers = count(1)
        self._prepared = False

    def prepare(self) -> None:
        """Make the folders. Raises `OSError` where the store cannot be written to."""
        if self._prepared and all(segment_folder(self._store, kind).is_dir() for kind in KINDS):
            return
        for kind in KINDS:
            segment_folder(self._store, kind).mkdir(parents=True, exist_ok=True)
            make_seed(self._store, kind)
        ignore = self._store / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        self._prepared = True

    def write(self, kind: Kind, table: pa.Table) -> Path:
        """Publish a table as one segment. Raises `OSError`; nothing half-written is ever seen."""
        self.prepare()
        data = encode(kind, table)
        name = f"{time.time_ns() // 1_000_000}-{self._writer}-{next(self._numbers):06d}-{zlib.crc32(data):08x}.parquet"
        target = segment_folder(self._store, kind) / name
        _publish(data, target, ".tmp")
        return target


def make_seed(store: Path, kind: Kind) -> None:
    """Make the seed if it is missing or damaged. Raises `OSError` where it cannot be."""
    seed = segment_folder(store, kind) / SEED
    if not is_seed(seed, kind):
        _publish(_empty(kind), seed, f"{os.getpid():x}{secrets.token_hex(4)}.tmp")


def is_seed(path: Path, kind: Kind) -> bool:
    """Whether the seed is there and whole, by whatever version of Parquet's writer."""
    try:
        data = path.read_bytes()
        if data == _empty(kind).to_pybytes():
            return True
        found = pq.read_table(pa.BufferReader(data))
    except (OSError, pa.ArrowException):
        return False
    newest, names = SCHEMAS[kind].names, found.schema.names
    earlier = segment_version(path) < VERSION and set(names) <= set(newest)
    return bool(found.num_rows == 0 and (names == newest or earlier))


@cache
def _empty(kind: Kind) -> pa.Buffer:
    return encode(kind, SCHEMAS[kind].empty_table())


def is_whole(segment: Path, *, again: bool = False) -> bool:
    """Whether the segment's bytes are those that were written. True for one that was removed meanwhile.

    `again` reads it even if it was read before and seems to be the same file.
    """
    found = _CHECKSUM.search(segment.name)
    if not found:
        return segment.name == SEED
    try:
        return is_unchanged(segment, int(found[1], 16), again=again)
    except FileNotFoundError:
        return not segment.is_symlink()
    except OSError:
        return False


def is_damaged(segment: Path) -> bool:
    """Whether it was read, and is not what was written: a whole one may fail to open, as when too many files are open.

    What cannot be read now is left where it is, since moving it would take its rows from everyone.
    """
    found = _CHECKSUM.search(segment.name)
    try:
        return found is None or not is_unchanged(segment, int(found[1], 16), again=True)
    except OSError as error:
        return error.errno in NO_FILE


def segments(store: Path, kind: Kind) -> list[Path]:
    """The published segments of a kind, oldest first, without the seed."""
    found: list[Path] = []
    for folder in segment_folders(store, kind):
        with suppress(FileNotFoundError, NotADirectoryError):
            found += [Path(entry.path) for entry in os.scandir(folder)]
    published = [path for path in found if path.suffix == ".parquet" and path.name != SEED]
    return sorted(published, key=lambda path: path.name)


def pattern(path: Path) -> str:
    """The path as DuckDB's `read_parquet` takes it: characters that it would take for wildcards are escaped."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path.as_posix())


_COUNTED = dict.fromkeys(("position", "sequence", "time_ns"), "DELTA_BINARY_PACKED")
_REPEATED = ["run_id", "channel", "text", "granularity", "top.list.element.text"]


def encode(kind: Kind, table: pa.Table) -> pa.Buffer:
    """The table as Parquet, for a file of a few rows that is written while a model computes, and soon compacted.

    So what costs a part of each column is left out (statistics, zstd's contexts, dictionaries of what is not known to
    repeat), and what counts up is kept as differences.
    """
    sink = pa.BufferOutputStream()
    tokens = kind == "tokens"
    pq.write_table(
        table,
        sink,
        compression="lz4",
        use_dictionary=_REPEATED if tokens else False,
        column_encoding=_COUNTED if tokens else None,
        write_statistics=False,
    )
    return sink.getvalue()


def _publish(data: pa.Buffer, target: Path, suffix: str) -> None:
    temporary = target.with_name(f"{target.name}.{suffix.lstrip('.')}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
