"""What server-sent events and lines of JSON may look like, and still say the same."""

import asyncio
from contextlib import aclosing

import pytest

from tttlab.models.framing import frames


def cut(*pieces, framing="sse"):
    async def main():
        async def given():
            for piece in pieces:
                yield piece if isinstance(piece, bytes) else piece.encode()

        async with aclosing(frames(given(), framing)) as found:
            return [tuple(frame) async for arrived in found for frame in arrived.frames]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("data: a\n\n", [("", "a")]),
        ("data:a\n\n", [("", "a")]),
        ("\ufeffdata: a\n\n", [("", "a")]),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", [("", "a"), ("", "b"), ("", "c")]),
        (": ping\n\ndata: a\n\n", [("", "a")]),
        ("event: x\ndata: a\ndata: b\n\n", [("x", "a\nb")]),
        ("id: 7\nretry: 10\n\ndata: a\n\n", [("", "a")]),
        ("event: ping\n\ndata: [DONE]\n\n", [("", "[DONE]")]),
        ("data: a\u2028b\n\n", [("", "a\u2028b")]),
        ("data: a\n\ndata: b", [("", "a")]),
        ("data: a\n\ndata: b\n", [("", "a")]),
        ("", []),
    ],
)
def test_events(body, found):
    assert cut(body) == found
    assert cut(*(bytes([byte]) for byte in body.encode())) == found


def test_bytes_that_are_no_text_are_marked():
    assert cut(b"data: a\xff\xfeb\n\n") == [("", "a��b")]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"a": 1}\n{"b": 2}\n', [("", '{"a": 1}'), ("", '{"b": 2}')]),
        ('{"a": 1}\r\n\n{"b": "\u2028"}', [("", '{"a": 1}'), ("", '{"b": "\u2028"}')]),
        ('{"a": 1}\n{"b": ', [("", '{"a": 1}')]),
        ("1\n2", [("", "1")]),
    ],
)
def test_lines(body, found):
    assert cut(body, framing="ndjson") == found
    assert cut(*(bytes([byte]) for byte in body.encode()), framing="ndjson") == found
