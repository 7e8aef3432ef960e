"""HTTP: a JSON body is posted, and status, headers and the body's pieces come back. Nothing else here opens a socket.

Connections belong to an event loop, which closes them when it ends: each loop has its own pool, and one for each
proxy. aiohttp's connections lie beneath httpx, whose own pool costs more than all the rest of a call
(`benchmarks/client.py` measures it).
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import ipaddress
import json
import os
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from tttlab.errors import BrokenStreamError, HostError, StalledError, UnreachableError
from tttlab.models.wire import Named

if TYPE_CHECKING:
    import httpx

_MOST_CONNECTIONS = 1000
_LONGEST_FAILURE = 64 * 1024
"""Bytes of an answer's body that are read for the message of its error."""
_LONGEST_SAID = 200
"""Characters of an error of the connection that are said."""
_CLOSING_SECONDS = 1.0


@dataclass(slots=True)
class Deadline:
    """Until when a call waits, on the loop's own clock; whoever knows what it waits for moves it on."""

    seconds: float
    waited_for: str
    at: float = 0.0

    def __post_init__(self) -> None:
        self.move(self.seconds, self.waited_for)

    def move(self, seconds: float, waited_for: str) -> None:
        """From now on, wait for as many seconds."""
        self.seconds, self.waited_for = seconds, waited_for
        self.at = asyncio.get_running_loop().time() + seconds


class Answer:
    """What a host answers: its status and headers at once, its body as it comes."""

    def __init__(self, response: httpx.Response, named: Named, deadline: Deadline) -> None:
        self._response = response
        self._named = named
        self._deadline = deadline
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body. Raises `StalledError` past the deadline, `BrokenStreamError` where it cannot be read to its end."""
        async with aclosing(self._response.aiter_bytes()) as pieces:  # type: ignore[type-var]
            while True:
                try:
                    async with asyncio.timeout_at(self._deadline.at):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except Exception as error:  # noqa: BLE001 - aiohttp's own errors come through where httpx has none
                    raise _error(error, self._named, self._deadline, BrokenStreamError) from None
                yield piece

    async def text(self) -> str:
        """The body, up to what an error needs of it; what came of one that breaks off."""
        read = bytearray()
        with suppress(HostError):
            async with aclosing(self.pieces()) as pieces:
                async for piece in pieces:
                    read += piece
                    if len(read) >= _LONGEST_FAILURE:
                        break
        return bytes(read[:_LONGEST_FAILURE]).decode(errors="replace")


@asynccontextmanager
async def posted(
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None,
    *,
    named: Named,
    connect: float,
    deadline: Deadline,
) -> AsyncIterator[Answer]:
    """Post a body and give the answer; leaving the context closes a connection whose answer has not ended.

    Without a body it is a GET. `connect` is in seconds. Raises `UnreachableError`, and `StalledError` past that time or
    the deadline.
    """
    import httpx

    sent = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "tttlab", **headers}
    try:
        transport = await _transport(url)
        method, content = ("GET", None) if body is None else ("POST", _written(body))
        timeouts = {"timeout": {"connect": connect}}
        request = httpx.Request(method, _url(url), content=content, headers=sent, extensions=timeouts)
        deadline.move(deadline.seconds, deadline.waited_for)  # The time begins here, after the imports.
        async with asyncio.timeout_at(deadline.at):
            response = await transport.handle_async_request(request)
    except Exception as error:  # noqa: BLE001 - as above, and an address can be wrong in many ways
        raise _error(error, named, deadline, UnreachableError, connect) from None
    try:
        yield Answer(response, named, deadline)
    finally:
        with suppress(httpx.HTTPError):
            await response.aclose()


def _written(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # Half of a surrogate pair in a text, or an integer of more than 64 bits.
        return json.dumps(body).encode()


def _error(
    error: Exception, named: Named, deadline: Deadline, broken: type[HostError], connect: float | None = None
) -> HostError:
    """What an error of the connection is: a wait that was too long, or one that `broken` is."""
    kind = broken
    if isinstance(error, TimeoutError):
        kind, said = StalledError, f"{deadline.waited_for} did not come within {deadline.seconds:g} s"
    elif isinstance(error.__cause__, TimeoutError):
        kind, said = StalledError, f"no connection was made within {connect or deadline.seconds:g} s"
    else:
        said = " ".join(str(error).split())[:_LONGEST_SAID] or type(error).__name__
    return kind(said, provider=named.provider, model=named.model)


@lru_cache(maxsize=64)
def _url(url: str) -> httpx.URL:
    import httpx

    return httpx.URL(url)


class _Connections:
    """The transports of one event loop: one for each scheme and proxy.

    What httpx's client does above a transport (cookies, redirects, a .netrc whose passwords would go out in place of
    keys) is not wanted here, and costs as much as the transport.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transports: dict[tuple[str, str | None], httpx.AsyncBaseTransport] = {}
        self._end = self._until_the_end()

    async def transport(self, url: str) -> httpx.AsyncBaseTransport:
        key = (urlsplit(url).scheme, _proxy(url))
        if key not in self._transports:
            if not self._transports:
                await anext(self._end, None)
            self._transports[key] = _made(*key)
        return self._transports[key]

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        """It is begun and not gone on with: a loop that is shut down closes its generators, and so these."""
        try:
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        _loops.pop(self._loop, None)
        for transport in self._transports.values():
            await transport.aclose()

    def close_at_exit(self) -> None:
        """Close what a loop has that was never shut down: that of a notebook's kernel, or of a daemon thread."""
        with suppress(Exception):
            if self._loop.is_running():
                asyncio.run_coroutine_threadsafe(self.close(), self._loop).result(_CLOSING_SECONDS)
            elif not self._loop.is_closed():
                self._loop.run_until_complete(self.close())


_loops: dict[asyncio.AbstractEventLoop, _Connections] = {}


async def _transport(url: str) -> httpx.AsyncBaseTransport:
    loop = asyncio.get_running_loop()
    if loop not in _loops:
        _loops[loop] = _Connections(loop)
    return await _loops[loop].transport(url)


def _made(scheme: str, proxy: str | None) -> httpx.AsyncBaseTransport:
    import httpx
    from httpx_aiohttp import AiohttpTransport

    limits = httpx.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_CONNECTIONS)
    return AiohttpTransport(
        verify=scheme == "https",  # To read the certificates takes a while, and `http` needs none.
        limits=limits,
        proxy=httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}") if proxy else None,
    )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address; none for this machine's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    proxies = urllib.request.getproxies()
    if not proxies or urllib.request.proxy_bypass(host):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a host's name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _close_all() -> None:
    for connections in list(_loops.values()):
        connections.close_at_exit()


def _after_fork() -> None:
    """A child has none of its parent's loops. What they hold is kept for good: its end would speak of open sockets."""
    for connections in _loops.values():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connections))
    _loops.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
