"""Sending to hosts that say odd things, and with addresses and headers that hold keys, which nobody is shown."""

import httpx
import pytest

from tests.store.recorded import span
from tttlab.errors import OptionError, StoreError
from tttlab.store.database import connect
from tttlab.store.journal import Journal
from tttlab.store.otlp import encode, selection
from tttlab.store.otlp import send as sending
from tttlab.store.otlp.selection import Form
from tttlab.store.otlp.send import send


@pytest.mark.parametrize(
    "address",
    [
        "http://me:s3cret@127.0.0.1:1",
        "http://me:s3cret@127.0.0.1:1/?key=s3cret",
        "http://127.0.0.1:1/v1/traces?key=s3cret",
        "http://127.0.0.1:1/#s3cret",
        "http://me:a@s3cret@127.0.0.1:1",
        "http://me:12/s3cret@127.0.0.1:1",
        "http://me:x/s3cret@127.0.0.1:1",
        "http://me:x?s3cret@127.0.0.1:1",
        "http://me:s3cret?x@127.0.0.1:1",
        "http://me:s3cret#x@127.0.0.1:1",
        "http://me:s3cret\nx@127.0.0.1:1",
        "http://me:s3cret@[::1",
        "http://me:s3cret@",
        "me:s3cret@127.0.0.1:1?key=s3cret",
        "ftp://me:s3cret@127.0.0.1:1",
    ],
)
def test_no_key_of_an_address_is_in_an_error(recorded, address, monkeypatch):
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    with pytest.raises((StoreError, OptionError)) as error:
        send(recorded, [], address)
    assert "s3cret" not in str(error.value)
    assert error.value.args[0].count("\n") == 0


def test_an_address_in_an_error_is_told_with_its_host(recorded, host):
    place = host.address.removeprefix("http://")
    host.replies.append((403, "text/plain", b"no"))
    with pytest.raises(StoreError, match=rf"^http://…@{place}/at/v1/traces answered 403: no$"):
        send(recorded, [], f"http://me:s3cret@{place}/at/v1/traces?key=s3cret")
    [(path, headers, _)] = host.got
    assert (path, headers["Authorization"][:6]) == ("/at/v1/traces?key=s3cret", "Basic ")


@pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3crét", " s3cret", "s3cret\x00", "s3cret "])
def test_a_header_that_cannot_be_sent_is_told_without_its_value(recorded, host, value):
    with pytest.raises(OptionError, match="the header 'authorization' cannot be sent") as error:
        send(recorded, [], host.address, headers={"authorization": value})
    assert "s3cr" not in str(error.value)
    assert host.got == []


def test_a_header_that_is_written_with_a_colon_is_told_without_its_value(recorded, host, monkeypatch):
    for said in ("Authorization: Bearer s3cret==", "Authorization:s3cret="):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", said)
        with pytest.raises(
            OptionError, match="begins with 'Authorization' has no name of HTTP: write name=value"
        ) as error:
            send(recorded, [], host.address)
        assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "seconds"), [("nan", 0.5), ("-3", 0.0), ("7", 7.0), ("inf", 30.0), ("9999", 30.0), ("soon", 0.5)]
)
def test_a_host_that_asks_for_an_odd_pause_gets_a_sound_one(asked, seconds):
    answer = httpx.Response(503, headers={"Retry-After": asked})
    assert sending._asked_pause(answer, 0.5) == seconds


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("text/plain", b"no \x1b[2Jsuch\x07 \xc2\x9bthing"),
        ("application/json", b'{"message": "no \\u001b[2Jsuch\\u0007 \\u009bthing"}'),
    ],
)
def test_the_words_of_a_host_are_no_commands_to_a_terminal(recorded, host, kind, data):
    host.replies.append((403, kind, data))
    with pytest.raises(StoreError, match=r"answered 403: no \[2Jsuch thing$"):
        send(recorded, [], host.address)


def test_what_a_host_says_to_what_it_takes_is_no_command_either(recorded, host):
    host.replies.append((200, "application/json", b'{"partialSuccess": {"errorMessage": "old\\u001b[2J\\nones"}}'))
    assert send(recorded, [], host.address).said == ("old [2J ones",)


@pytest.mark.parametrize("charset", ["hex", "rot13", "undefined", "idna"])
def test_a_charset_that_is_none_of_texts_is_no_matter(charset):
    answer = httpx.Response(403, headers={"Content-Type": f"text/plain; charset={charset}"}, content=b"\xffno")
    assert sending.words_of(answer) == "\ufffdno"


def test_an_answer_that_is_nested_without_end_is_told_as_it_is(recorded, host):
    host.replies.append((403, "application/json", b"[" * 100_000))
    with pytest.raises(StoreError, match=r"answered 403: \[{300}$"):
        send(recorded, [], host.address)


def test_what_a_host_took_before_it_took_no_more_is_told(recorded, host, monkeypatch):
    host.replies += [(200, "application/x-protobuf", b""), (403, "text/plain", b"full")]
    with pytest.raises(StoreError, match="answered 403: full; it took 0 spans or more before, which are sent again"):
        send(recorded, [], host.address, Form("logs"))
    monkeypatch.setattr(encode, "MOST_RECORDS", 1)
    host.replies += [(403, "text/plain", b"full")]
    with pytest.raises(StoreError, match=r"answered 403: full$"):
        send(recorded, [], host.address)


def test_the_spans_of_a_portion_that_a_host_took_are_counted(own_store, host, monkeypatch):
    monkeypatch.setattr(selection, "_AT_ONCE", 1)
    journal = Journal(own_store)
    for number in (1, 2):
        journal.span(span(number, run=f"run-{number}", trace_id=f"{number:032x}"))
    journal.close()
    host.replies += [(200, "text/plain", b""), (403, "text/plain", b"full")]
    with pytest.raises(StoreError, match="it took 1 spans or more before"):
        send(connect(own_store), [], host.address)
