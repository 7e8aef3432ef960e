"""The hosts and models that there are, as tables: for `%models` and `tttlab models`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, TypeVar

import anyio
import pyarrow as pa

from tttlab.models import NAMES, entry_points, resolve_model
from tttlab.models.hosts import find_host, hosts
from tttlab.models.listing import Offer, Standing, abilities_said, offers, price_said, probed, standings
from tttlab.portal import Interrupted, portal, wait_for

Result = TypeVar("Result")


class Told(NamedTuple):
    """A table, and what is to be said below it."""

    table: pa.Table
    note: str


def models_told(host: str | None = None, *, probe: str | None = None, check: bool = False) -> Told:
    """All hosts; or the models that one host lists; or what one token of a model says.

    Raises `OptionError` for a name that there is not, and `ModelError` where it could not be asked.
    """
    if probe is not None:
        model = resolve_model(probe)
        facts = _waited(partial(probed, model))
        return Told(pa.table({"what": [fact[0] for fact in facts], "came": [fact[1] for fact in facts]}), model.name)
    if host is not None:
        name, _, address = host.partition("@")
        chosen = find_host(name)
        found = _waited(partial(offers, chosen, address or None))
        return _offers(found, f"{chosen.title}; its abilities were read in {chosen.as_of}")
    return _hosts(_waited(partial(standings, list(hosts().values()), ask_all=check)))


def _hosts(found: list[Standing]) -> Told:
    embedded = [(name, "runs here", "none needed", "", "") for name in NAMES if ":" in name]
    added = [(f"{name}:NAME", f"of {_package(name)}", "", "", "") for name in entry_points()]
    rows = [
        (
            f"{each.host.name}:NAME" + ("" if each.address else "@URL"),
            each.host.title,
            each.key,
            each.reachable or ("not asked" if each.configured else ""),
            abilities_said(each.host.can),
        )
        for each in found
    ]
    columns = zip(*[*embedded, *rows, *added], strict=True)
    names = ("model", "host", "key", "reachable", "its models can, unless known better")
    note = "tttlab models HOST lists a host's models; --check asks every host; --probe NAME asks for one token"
    return Told(pa.table(dict(zip(names, map(list, columns), strict=True))), note)


def _offers(found: list[Offer], note: str) -> Told:
    sources = sorted({each.price.source for each in found if each.price is not None})
    table = pa.table(
        {
            "model": pa.array([each.model for each in found], pa.string()),
            "$ a million tokens": pa.array([price_said(each.price) for each in found], pa.string()),
            "can": pa.array([abilities_said(each.can) for each in found], pa.string()),
        }
    )
    return Told(table, "; ".join([note, *(f"prices: {source}" for source in sources[:1])]))


def _package(name: str) -> str:
    entry = entry_points()[name]
    return entry.dist.name if entry.dist else entry.value


def _waited(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """What the coroutine gives. An interrupt cancels it."""
    scopes: list[anyio.CancelScope] = []
    answers: list[Result] = []

    async def cancellable() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            answers.append(await work())

    def cancel() -> None:
        for scope in scopes:
            scope.cancel()

    def stop() -> None:
        portal().start_task_soon(cancel)

    try:
        wait_for(cancellable, stop=stop)
    except Interrupted:
        raise KeyboardInterrupt("stopped") from None
    return answers[0]
