"""What an examination of a store finds: each finding says what, where, what it means, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Grade = Literal["fine", "note", "mended", "trouble"]
"""`trouble` needs the user; what was `mended` needed tttlab only, and a `note` nobody."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is so about a store."""

    grade: Grade
    what: str
    where: Path
    means: str = ""
    """What follows from it; empty where that is plain."""
    remedy: str = ""
    """What was done about it, or what can be."""


def needs_the_user(findings: Sequence[Finding]) -> bool:
    """Whether anything is left that tttlab does not see to by itself."""
    return any(finding.grade == "trouble" for finding in findings)


def size(count: float) -> str:
    """A number of bytes for people: 12 kB, 3.4 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - the step between SI prefixes
            return f"{count:.0f} {unit}" if unit in ("bytes", "kB") or count >= 100 else f"{count:.1f} {unit}"  # noqa: PLR2004 - three digits tell enough
        count /= 1000
    return f"{count:,.1f} TB"


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things: `1 file`, `1,200 files`."""
    return f"1 {one}" if count == 1 else f"{count:,} {many or f'{one}s'}"
