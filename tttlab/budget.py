"""Budgets: how much may be spent, always with its unit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields

from tttlab.errors import OptionError, nearest

_PART = re.compile(r"(?P<dollar>\$)?\s*(?P<number>[-+]?[\d_,]*\.?\d+(?:[eE][-+]?\d+)?)\s*(?P<unit>[A-Za-z]*)")
_UNITS = {
    "token": "tokens",
    "tokens": "tokens",
    "tok": "tokens",
    "ktok": "ktokens",
    "ktokens": "ktokens",
    "dollar": "dollars",
    "dollars": "dollars",
    "usd": "dollars",
    "s": "seconds",
    "sec": "seconds",
    "second": "seconds",
    "seconds": "seconds",
    "min": "minutes",
    "minute": "minutes",
    "minutes": "minutes",
    "call": "calls",
    "calls": "calls",
}
_FACTORS = {"ktokens": ("tokens", 1000.0), "minutes": ("seconds", 60.0)}
_NAMED = ("tokens", "dollars", "seconds", "minutes", "calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Upper limits; None is no limit. Tokens are prompt and output tokens, over all roles.

    Raises `OptionError` where a limit is negative or not a finite number.
    """

    tokens: int | None = None
    dollars: float | None = None
    seconds: float | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
                raise OptionError(f"a budget of {value!r} {item.name} cannot be kept: give a number above 0")
            if item.name in ("tokens", "calls") and value != int(value):
                raise OptionError(f"a budget of {value!r} {item.name} cannot be kept: give a whole number")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `"2000 tokens"`, `"$0.05"`, `"30 s"`, or several parted by `+` or `,`: `"2000 tokens, 30 s"`."""
        limits: dict[str, float] = {}
        for part in re.split(r"[+;]|,(?!\d{3})", text):
            match = _PART.fullmatch(part.strip())
            if not match:
                raise OptionError(
                    f"cannot read the budget {text.strip()!r}: write a number and its unit, as in '2000 tokens'"
                )
            unit, value = _unit_and_value(match)
            if value <= 0:
                raise OptionError(f"a budget of {part.strip()!r} leaves nothing to spend: give a number above 0")
            if unit in limits:
                raise OptionError(f"the budget {text.strip()!r} names {unit} twice: give each unit once")
            limits[unit] = value
        whole = {name: int(limits.pop(name)) for name in ("tokens", "calls") if _is_whole(name, limits)}
        return cls(**whole, **limits)  # type: ignore[arg-type]  # the keys are the field names, by construction

    @classmethod
    def of(cls, given: str | Budget | None) -> Budget:
        """What was given as a budget; None is no limit. Raises `OptionError` for what is none, or leaves nothing."""
        if given is None:
            return cls()
        if isinstance(given, str):
            return cls.parse(given)
        if not isinstance(given, Budget):
            raise OptionError(f"a budget needs its unit: write '{given} tokens', not {given!r}")
        for item in fields(given):
            if getattr(given, item.name) == 0:
                raise OptionError(f"a budget of 0 {item.name} leaves nothing to spend: give a number above 0")
        return given

    def __str__(self) -> str:
        parts = [(self.tokens, "tokens"), (self.seconds, "s"), (self.calls, "calls")]
        said = [
            f"{value:g} {unit}" if isinstance(value, float) else f"{value} {unit}"
            for value, unit in parts
            if value is not None
        ]
        if self.dollars is not None:
            said.insert(0, f"${self.dollars:g}")
        return ", ".join(said) or "no limit"


def _is_whole(name: str, limits: dict[str, float]) -> bool:
    if name not in limits:
        return False
    if limits[name] != int(limits[name]):
        raise OptionError(f"a budget of {limits[name]:g} {name} cannot be kept: give a whole number")
    return True


def _unit_and_value(match: re.Match[str]) -> tuple[str, float]:
    number = float(match["number"].replace(",", "").replace("_", ""))
    if not math.isfinite(number):
        raise OptionError(f"the budget {match[0]!r} is too large to be one: leave it out for no limit")
    word = match["unit"].lower()
    if match["dollar"] and word not in ("", "usd"):
        raise OptionError(f"the budget {match[0]!r} has two units: write '$0.05' or '2000 tokens'")
    if match["dollar"]:
        return "dollars", number
    if not word:
        raise OptionError(
            f"the budget {match[0]!r} has no unit: write '{match[0].strip()} tokens', or seconds, dollars, calls"
        )
    if word not in _UNITS:
        raise OptionError(f"no budget is counted in {match['unit']!r}{nearest(word, _NAMED)}")
    unit, factor = _FACTORS.get(_UNITS[word], (_UNITS[word], 1.0))
    return unit, number * factor
