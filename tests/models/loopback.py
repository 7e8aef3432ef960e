"""A server on loopback that does what a test tells it, byte by byte: a host at its worst."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Reply:
    """What is answered. The body's pieces are sent one by one; `stall_after` of them nothing more comes."""

    pieces: list[str | bytes] = field(default_factory=list)
    status: int = 200
    kind: str | None = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    stall_after: int | None = None
    """Of the pieces; -1 is before the header."""
    disconnect_after: int | None = None
    """Of the pieces; -1 is before the header. Else the body ends as it should."""
    garbage: bytes | None = None
    """Sent in place of everything."""
    gap: float = 0.0
    """Seconds between the pieces."""


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict


class Loopback:
    """Answers the n-th request with the n-th reply, and all after them with the last one."""

    def __init__(self, replies):
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.address = ""
        self.closed_early = 0
        """How many clients went away before the end of what was sent to them."""
        self.connections = 0
        self._changed = asyncio.Event()

    async def seen(self, what):
        """Wait until something holds of this server."""
        while not what(self):
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        reply = self.replies[min(len(self.asked), len(self.replies) - 1)]
        self.asked.append(Asked(first.split()[1], headers, json.loads(body or b"{}")))
        self._changed.set()
        gone = asyncio.ensure_future(reader.read(1))
        sending = asyncio.ensure_future(self._send(reply, writer))
        await asyncio.wait([gone, sending], return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if sending.done():
            return sending.result()
        sending.cancel()
        self.closed_early += 1
        return self._changed.set()

    async def _send(self, reply, writer):
        if reply.garbage is not None:
            writer.write(reply.garbage)
            return
        if reply.stall_after == -1:
            await asyncio.Event().wait()
        if reply.disconnect_after == -1:
            return
        headers = {"content-type": reply.kind, "transfer-encoding": "chunked", "connection": "close", **reply.headers}
        lines = [f"{name}: {value}" for name, value in headers.items() if value]
        writer.write("\r\n".join([f"HTTP/1.1 {reply.status} -", *lines, "", ""]).encode())
        for number, piece in enumerate([*reply.pieces, None]):
            if reply.stall_after == number:
                await writer.drain()
                await asyncio.Event().wait()
            if reply.disconnect_after == number:
                await writer.drain()
                return
            if piece is not None:
                data = piece if isinstance(piece, bytes) else piece.encode()
                writer.write(b"%x\r\n%s\r\n" % (len(data), data))
                await writer.drain()
                await asyncio.sleep(reply.gap)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def loopback(*replies):
    """Serve; at the end every connection is closed."""
    host = Loopback(replies)
    tasks = set()

    async def connected(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await host.serve(reader, writer)
        finally:
            tasks.discard(asyncio.current_task())

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
