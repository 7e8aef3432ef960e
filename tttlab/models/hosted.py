"""Models of hosts: asked over HTTP in the host's own format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from urllib.parse import urlsplit

from tttlab.events import StreamEvent
from tttlab.models.asking import Asked, Line, Numbered, tokens_of, told
from tttlab.models.conduct import Conduct
from tttlab.models.fitting import fitted
from tttlab.models.hosts.host import Host
from tttlab.models.stops import stopped
from tttlab.models.together import Together
from tttlab.models.wire import DrawsMany, Named
from tttlab.types import Capabilities, Price, Request

_MOST_CHOICES = 128
_PORTS = {"http": 80, "https": 443}


class HostedModel:
    """A model of a host. It holds no key: `key` is called with each request."""

    remote = True

    def __init__(
        self,
        host: Host,
        model: str,
        *,
        key: Callable[[], str],
        name: str | None = None,
        address: str | None = None,
        can: Capabilities | None = None,
        price: Price | None = None,
        conduct: Conduct | None = None,
    ) -> None:
        """`key` gives an empty text where none is needed. `conduct` is that of `tttlab.configure` unless given."""
        self.host = host
        self.model = model
        self.address = (address or host.address).rstrip("/")
        elsewhere = "" if self.address == host.address else f"@{self.address}"
        self.name = name or f"{host.name}:{model}{elsewhere}"
        self.can = can or host.abilities(model)
        self.price = price
        self.provider = host.provider
        self.reports_dollars = host.reports_dollars
        self._key = key
        self._conduct = conduct
        self._named = Named(provider=host.name, model=model, can=self.can, traits=host.row(model).traits)
        self._together: Together | None = None
        if self.can.n and isinstance(host.wire, DrawsMany):
            most = self._named.traits.get("most_choices", _MOST_CHOICES)
            self._together = Together(partial(self._drawn, host.wire), most)

    def __repr__(self) -> str:
        return f"<model {self.name}>"

    @property
    def server(self) -> tuple[str, int]:
        """The name and the port of the server that is asked."""
        parts = urlsplit(self.address)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)

    def describe(self) -> Mapping[str, str | int]:
        """What identifies the model, as far as its host tells."""
        server, port = self.server
        return {
            "host": self.host.name,
            "model": self.model,
            "server": server,
            "port": port,
            "wire": self.host.wire.name,
        }

    def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Run one call. Raises `HostError`."""
        fit = fitted(request, self._named)
        draw = self._alone if self._together is None else partial(self._with_others, self._together)
        events = draw(fit.request, fit.notes)
        stops = fit.request.sampling.stop
        if not stops or "stop" in self._named.at(fit.request.sampling.effort).can.takes:
            return events
        return stopped(events, stops, f"stop strings were looked for as the answer arrived: {self.model} takes none")

    async def _with_others(
        self, together: Together, request: Request, notes: tuple[str, ...]
    ) -> AsyncGenerator[StreamEvent, None]:
        member = await together.member(request)
        async with aclosing(member.events(notes) if member else self._alone(request, notes)) as events:
            async for event in events:
                yield event

    def _alone(self, request: Request, notes: tuple[str, ...]) -> AsyncGenerator[StreamEvent, None]:
        wire, named = self.host.wire, self._named.at(request.sampling.effort)
        encoded = wire.encode(request, named)
        noted = (*notes, *encoded.notes)
        asked = Asked(encoded, lambda: wire.decoder(named, noted))
        return told(self._line(), asked, tokens_of(request, named))

    def _drawn(self, wire: DrawsMany, request: Request, count: int) -> AsyncGenerator[Numbered, None]:
        named = self._named.at(request.sampling.effort)
        encoded = wire.encode_many(request, named, count)
        asked = Asked(encoded, lambda: wire.choices_decoder(named, count, encoded.notes), count)
        return told(self._line(), asked, tokens_of(request, named, count))

    def _line(self) -> Line:
        return Line(
            wire=self.host.wire,
            named=self._named,
            address=self.address,
            headers=self.host.headers,
            authorization=lambda: self.host.authorization(self._key()),
            conduct=self._conduct or Conduct.configured(),
        )
