"""Finding runs by their ids, or by beginnings of ids that only one has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from tttlab.errors import StoreError

SHOWN = 3


def run_ids(wanted: Sequence[str], there: Iterable[str]) -> list[str]:
    """The ids that these words mean, each once. Raises `StoreError` for one that means none or several."""
    ids = sorted(there)
    return list(dict.fromkeys(_the_one(word, ids) for word in wanted))


def _the_one(word: str, ids: Sequence[str]) -> str:
    if word in ids:
        return word
    found = [each for each in ids if word and each.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise StoreError(
            f"{word!r} begins several ids ({', '.join(found[:SHOWN])}{more}): write more of the one you mean"
        )
    if not ids:
        raise StoreError(f"there is no run {word!r}: no run is recorded yet")
    near = difflib.get_close_matches(word, ids, n=SHOWN, cutoff=0.3) or [ids[-1]]
    raise StoreError(f"there is no run {word!r}; did you mean {' or '.join(map(repr, near))}?")
