"""What a model's tokens cost: by the user's own file, else by the genai-prices library, offline; else it is unknown.

The user's file is `prices.toml` beside the file of keys, or the one that the option `prices` names. Each table in it is
a model's name, or a pattern of names, with dollars for a million tokens; the first that matches holds:

    ["anthropic:claude-opus-4-5*"]
    prompt = 5.0
    output = 25.0
    cached = 0.5    # of the prompt's tokens, those that the host had in its cache; optional
"""

from __future__ import annotations

import fnmatch
import math
import tomllib
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from tttlab.errors import OptionError, nearest
from tttlab.options import as_told, resolve
from tttlab.types import Price

if TYPE_CHECKING:
    from tttlab.models.hosts.host import Host

LIBRARY = "genai-prices"
_FIELDS = ("prompt", "output", "cached")
_BESIDE = {
    "requests_kcount": "and a price for each request",
    "output_reasoning_mtok": "thinking has another price",
}
"""What else the library may know of a price, and `Price` does not."""


def price_of(host: Host, model: str, *, name: str | None = None) -> Price | None:
    """The price of a host's model, with its source; None where nobody knows it. Raises `OptionError` of the file.

    `name` is what the user's file calls the model: `HOST:MODEL` unless given.
    """
    own = _own(name or f"{host.name}:{model}") or _own(f"{host.name}:{model}")
    if own is not None:
        return own
    if host.local:
        return Price(prompt=0.0, output=0.0, source="local")
    return _listed(host.prices, model, datetime.now(UTC).date().isoformat()) if host.prices else None


def price_file() -> Path:
    """The user's file of prices, whether it is there or not."""
    option = resolve("prices")
    if option.source == "default":
        return platformdirs.user_config_path("tttlab") / option.value
    if option.source.endswith("pyproject.toml"):
        return Path(option.source).parent / option.value
    return Path(option.value).expanduser().absolute()


def _own(name: str) -> Price | None:
    path = price_file()
    if not path.is_file():
        if resolve("prices").source != "default":
            raise OptionError(f"there is no file of prices {path} ({resolve('prices').source})")
        return None
    changed = path.stat().st_mtime
    for pattern, table in _tables(path, changed).items():
        if fnmatch.fnmatchcase(name, pattern):
            dated = datetime.fromtimestamp(changed, UTC).date().isoformat()
            return _price(table, pattern, path, f"{as_told(path)} ({dated})")
    return None


@lru_cache(maxsize=4)
def _tables(path: Path, changed: float) -> dict[str, Any]:  # noqa: ARG001 - read again when it has changed
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"the file of prices {path} cannot be read: {error}") from None


def _price(table: Any, pattern: str, path: Path, source: str) -> Price:
    if not isinstance(table, dict) or not {"prompt", "output"} <= set(table):
        raise OptionError(f'{path}: write ["{pattern}"], and below it prompt = and output = dollars a million tokens')
    for field, value in table.items():
        if field not in _FIELDS:
            raise OptionError(f"{path}: a price has no {field!r}{nearest(field, _FIELDS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise OptionError(f"{path}: {field} of {pattern!r} is dollars a million tokens, not {value!r:.40}")
    return Price(**{field: float(value) for field, value in table.items()}, source=source)


@lru_cache(maxsize=256)
def _listed(provider: str, model: str, today: str) -> Price | None:
    """The library's price on a day: it knows from when on each is valid."""
    from genai_prices import Usage, calc_price  # Imported late: a fifth of a second, and nobody local needs it.

    moment = datetime.fromisoformat(today).replace(hour=12, tzinfo=UTC)
    try:
        usage = Usage(input_tokens=0, output_tokens=0)
        found = calc_price(usage, model, provider_id=provider, genai_request_timestamp=moment).model_price
    except LookupError:
        return None
    rates = {field: getattr(found, name, None) for field, name in _MTOK.items()}
    if rates["prompt"] is None or rates["output"] is None:
        return None
    said = [f"{LIBRARY} {version(LIBRARY)} ({today})", *_inexact(found, rates.values())]
    numbers = {field: float(getattr(rate, "base", rate)) for field, rate in rates.items() if rate is not None}
    return Price(**numbers, source="; ".join(said))


_MTOK = {"prompt": "input_mtok", "output": "output_mtok", "cached": "cache_read_mtok"}


def _inexact(found: Any, rates: Any) -> list[str]:
    starts = [rate.tiers[0].start for rate in rates if hasattr(rate, "tiers") and rate.tiers]
    tiers = [f"prompts over {min(starts):,} tokens cost more"] if starts else []
    return [*tiers, *(said for name, said in _BESIDE.items() if getattr(found, name, None))]
