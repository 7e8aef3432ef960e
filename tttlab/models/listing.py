"""What there is to ask: which hosts have a key, which answer, what models they list, and what one token of one says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import anyio

from tttlab.errors import BrokenStreamError, CredentialError, HostError, OptionError, TttlabError, UnreachableError
from tttlab.events import Fold
from tttlab.models.addresses import checked_address, default_address
from tttlab.models.credentials import Credential
from tttlab.models.hosts.host import Host
from tttlab.models.prices import price_of
from tttlab.models.wire import Named
from tttlab.protocols import Model
from tttlab.types import Capabilities, Message, Price, Request, Sampling

LOCAL_SECONDS = 1.0
"""How long a server on this machine may take to be found there."""
HOST_SECONDS = 15.0
LONGEST = 32 * 2**20
"""Bytes of a list of models."""
_ABILITIES = ("thinking", "n", "seed", "logprobs", "prefix", "thinking_budget")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands with a host: where its key is from, and what it answered, if it was asked."""

    host: Host
    address: str
    key: str
    """The variable or the file that holds it, or what is missing; never the key."""
    configured: bool
    reachable: str = ""
    """Empty where it was not asked."""
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One model that a host lists: what it can do, as far as that is known, and what it costs."""

    model: str
    can: Capabilities
    price: Price | None


def abilities_said(can: Capabilities) -> str:
    """A model's abilities in one line."""
    said = [name.replace("_", " ") for name in _ABILITIES if getattr(can, name)]
    return ", ".join([*said, *([f"effort {'/'.join(can.effort)}"] if can.effort else []), *can.takes])


def price_said(price: Price | None) -> str:
    """A price in dollars for a million tokens: of the prompt, then of the output."""
    if price is None:
        return "unknown"
    return "free" if not price.prompt and not price.output else f"${price.prompt:g} / ${price.output:g}"


def standing(host: Host) -> Standing:
    """Where a host is and whether there is a key for it; it is not asked."""
    try:
        address = default_address(host)
        source = Credential.of(host).source()
    except (CredentialError, OptionError) as error:
        return Standing(host=host, address=host.address, key=_plain(error), configured=False)
    if source is None and not Credential.of(host).optional:
        return Standing(host=host, address=address, key=f"missing: {host.key_variable}", configured=False)
    return Standing(host=host, address=address, key=source or "none needed", configured=bool(address))


async def asked(each: Standing, seconds: float) -> Standing:
    """The same with what the host answers within so many seconds. Raises nothing: the answer is said."""
    if not each.configured or each.host.listing is None:
        return each
    try:
        models = await listed(each.host, each.address, seconds)
    except HostError as error:
        absent = isinstance(error, UnreachableError) and each.host.local
        return replace(each, reachable="no" if absent else f"no: {error.said}")
    return replace(each, reachable=f"yes, {len(models)} model{'' if len(models) == 1 else 's'}", models=tuple(models))


async def standings(hosts: Sequence[Host], *, ask_all: bool) -> list[Standing]:
    """How it stands with each host, in their order. Servers on this machine are asked; the others with `ask_all`."""
    found = [standing(host) for host in hosts]

    async def ask(number: int) -> None:
        local = found[number].host.local
        if local or ask_all:
            found[number] = await asked(found[number], LOCAL_SECONDS if local else HOST_SECONDS)

    async with anyio.create_task_group() as tasks:
        for number in range(len(found)):
            tasks.start_soon(ask, number)
    return found


async def listed(host: Host, address: str, seconds: float = HOST_SECONDS) -> list[str]:
    """The names of the models that a host lists, in its order. Raises `HostError`."""
    named = Named(provider=host.name, model="*")
    if host.listing is None:
        raise OptionError(f"{host.name} does not list its models: see docs/models.md for those that are known")
    key = Credential.of(host)()
    headers = {**host.headers, **host.authorization(key)}
    status, body = await _fetched(f"{address}{host.listing}", headers, named, seconds)
    if status != 200:  # noqa: PLR2004 - HTTP's OK
        raise host.wire.failure(status, body, named)
    try:
        return list(_names(json.loads(body)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BrokenStreamError(
            f"what {host.name} sent is no list of models",
            provider=host.name,
            model="*",
            advice="is it the right address?",
        ) from None


async def offers(host: Host, address: str | None = None) -> list[Offer]:
    """Every model that a host lists, at its own address unless given. Raises `HostError` and `OptionError`."""
    asked_at = default_address(host) if address is None else checked_address(host, address)
    if not asked_at:
        raise OptionError(f"{host.name} has no address of its own: tttlab models {host.name}@http://127.0.0.1:8000")
    models = await listed(host, asked_at)
    return [Offer(model=name, can=host.abilities(name), price=price_of(host, name)) for name in models]


async def probed(model: Model) -> list[tuple[str, str]]:
    """Ask a model for one token, and say what came, each fact with its name. Raises `ModelError`."""
    sampling = Sampling(max_tokens=1, logprobs=1, temperature=1.0)
    request, fold = Request(messages=(Message("user", "Say yes."),), sampling=sampling), Fold()
    async with aclosing(model.stream(request)) as events:  # type: ignore[type-var]  # an async generator, in fact
        async for event in events:
            fold.add(event)
    price: Price | None = getattr(model, "price", None)
    completion, usage = fold.completion(price), fold.usage(price)
    counts = f"{usage.prompt_tokens} prompt, {usage.output_tokens} output, {usage.thinking_tokens} thinking"
    return [
        ("answer", repr(completion.text)),
        ("thinking", f"{completion.visibility}, {len(completion.thinking)} characters"),
        ("pieces", "tokens" if completion.tokens else "chunks"),
        ("logprobs", _yes(any(token.logprob is not None for token in completion.tokens))),
        ("alternatives", _yes(any(token.top.texts for token in completion.tokens))),
        ("usage", counts + (" (by the text's length)" if fold.estimated else "")),
        ("cost", "unknown" if usage.dollars is None else f"${usage.dollars:.6f}"),
        ("finished", completion.finish_reason),
        ("served by", completion.served_model or "not said"),
        *(("note", note) for note in completion.notes),
    ]


def _yes(there: bool) -> str:
    return "yes" if there else "no"


async def _fetched(url: str, headers: Mapping[str, str], named: Named, seconds: float) -> tuple[int, str]:
    from tttlab.models.transport import Deadline, posted

    deadline, read = Deadline(0.0, ""), bytearray()
    deadline.move(seconds, "its list of models")
    async with posted(url, headers, None, named=named, connect=seconds, deadline=deadline) as answer:
        async for piece in answer.pieces():
            read += piece
            if len(read) > LONGEST:
                raise BrokenStreamError("its list of models does not end", provider=named.provider, model="*")
    return answer.status, read.decode(errors="replace")


def _names(read: Any) -> Iterator[str]:
    """The three shapes there are: OpenAI's and Anthropic's `data`, Gemini's and Ollama's `models`, and a bare list."""
    found = read if isinstance(read, list) else read.get("data") if "data" in read else read["models"]
    for each in found:
        name = each if isinstance(each, str) else each.get("id") or each["name"]
        yield str(name).removeprefix("models/")


def _plain(error: TttlabError) -> str:
    return error.said if isinstance(error, HostError) else str(error)
