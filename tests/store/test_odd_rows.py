"""What a model or another library may hand over never stops the journal, and costs no other row."""

import time

import pytest

import tttlab
from tests.store.recorded import record, span, token
from tttlab.events import Alternatives, ChunkDelta, TokenDelta
from tttlab.recording import recorder_for
from tttlab.store import columns
from tttlab.store.database import connect
from tttlab.store.journal import Journal

NOW = 1_700_000_000_000_000_000


class OwnDelta(TokenDelta):
    """A model's own kind of token."""


@pytest.fixture
def journal(own_store):
    opened = Journal(own_store)
    yield opened
    opened.close()


def rows(journal, sql):
    return connect(journal.folder).execute(sql).fetchall()


def top(ids=(1,), texts=("a",), logprobs=(-0.5,)):
    return TokenDelta("odd", NOW, 1, -0.5, Alternatives(ids, texts, logprobs))


def alternative(token_id=1, text="a", logprob=-0.5):
    return {"token_id": token_id, "text": text, "logprob": logprob}


ODD = {
    "id too large": (TokenDelta("odd", NOW, 2**31), ("odd", NOW, None, "answer", None)),
    "id a string": (TokenDelta("odd", NOW, "17"), ("odd", NOW, None, "answer", None)),
    "text None": (TokenDelta(None, NOW, 1), (None, NOW, 1, "answer", None)),
    "text a number": (TokenDelta(7, NOW, 1), ("7", NOW, 1, "answer", None)),
    "channel None": (TokenDelta("odd", NOW, 1, channel=None), ("odd", NOW, 1, None, None)),
    "channel half a pair": (TokenDelta("odd", NOW, 1, channel="\ud800"), ("odd", NOW, 1, "�", None)),
    "logprob a string": (TokenDelta("odd", NOW, 1, "-0.5"), ("odd", NOW, 1, "answer", None)),
    "time a fraction": (TokenDelta("odd", 1.5, 1), ("odd", 1, 1, "answer", None)),
    "merged a string": (TokenDelta("odd", NOW, 1, merged="no"), ("odd", NOW, 1, "answer", None)),
    "a class of its own": (OwnDelta("odd", NOW, 1), ("odd", NOW, 1, "answer", None)),
    "chunk of a fraction": (ChunkDelta("odd", NOW, tokens=1.5), ("odd", NOW, None, "answer", None)),
    "top None": (TokenDelta("odd", NOW, 1, top=None), ("odd", NOW, 1, "answer", None)),
    "top a number": (TokenDelta("odd", NOW, 1, top=3), ("odd", NOW, 1, "answer", None)),
    "top without logprob": (top(logprobs=(None,)), ("odd", NOW, 1, "answer", [alternative(logprob=None)])),
    "top without text": (top(texts=(None,)), ("odd", NOW, 1, "answer", [alternative(text=None)])),
    "top id too large": (top(ids=(2**40,)), ("odd", NOW, 1, "answer", [alternative(token_id=None)])),
    "top ragged": (top(ids=(1, 2)), ("odd", NOW, 1, "answer", [alternative(), alternative(2, None, None)])),
}


@pytest.mark.parametrize(("event", "stored"), ODD.values(), ids=ODD)
def test_an_odd_delivery_is_recorded_as_far_as_its_columns_take_it(journal, event, stored):
    buffer = journal.token_buffer("run-1", "00000000000000ff")
    for position, each in enumerate((token("before"), event, token("after"))):
        buffer.record(position, each)
    buffer.close()
    record(journal, 3)
    journal.flush()
    assert journal.trouble is None
    found = rows(
        journal, "SELECT text, time_ns, token_id, channel, top, entropy_topk FROM tokens ORDER BY sequence, text"
    )
    assert len(found) == 6
    [odd] = rows(
        journal, "SELECT text, time_ns, token_id, channel, top FROM tokens WHERE span_key = 255 AND position = 1"
    )
    assert (*odd[:-1], odd[-1] or None) == stored  # An empty list where another delivery has alternatives.


@pytest.mark.parametrize(
    ("attributes", "finish_reason"),
    [
        ({"gen_ai.response.finish_reasons": []}, None),
        ({"gen_ai.response.finish_reasons": ("stop", "length")}, "stop"),
        ({"gen_ai.response.finish_reasons": "stop"}, "stop"),
        ({"gen_ai.response.finish_reasons": 3}, "3"),
        ({"tttlab.run.seed": 2**70, "b": {(1, 2): float("nan")}}, None),
        ({"deep": [[[]]]}, None),
    ],
    ids=str,
)
def test_an_odd_span_is_recorded(journal, attributes, finish_reason):
    journal.span(span(1, attributes=attributes))
    journal.flush()
    assert journal.trouble is None
    assert rows(journal, "SELECT finish_reason FROM stored_spans") == [(finish_reason,)]


def test_an_attribute_that_holds_itself_is_cut(journal):
    around = []
    around.append(around)
    journal.span(span(1, attributes={"around": around}))
    journal.flush()
    assert journal.trouble is None
    assert rows(journal, "SELECT attributes ->> '$.around[0][0][0]' LIKE '[%' FROM spans") == [(True,)]


def test_what_no_column_takes_is_dropped_counted_and_named(journal, monkeypatch):
    class Hostile:
        def __str__(self):
            raise RuntimeError("no words for it")

    journal.span(span(1, attributes={"a": Hostile()}, name="hostile"))
    journal.span(span(2))
    buffer = journal.token_buffer("run-7", "00000000000000ff")
    buffer.record(1, TokenDelta(Hostile(), NOW))
    record(journal, 3, number=3)
    journal.flush()
    assert journal._thread.is_alive()
    assert "2 rows were left out" in journal.trouble
    assert "span 'hostile': RuntimeError: no words for it" in journal.trouble
    assert rows(journal, "SELECT count(*) FROM spans") == [(2,)]
    assert rows(journal, "SELECT count(*) FROM tokens") == [(3,)]


def test_a_table_that_cannot_be_written_does_not_hold_up_the_others(journal, monkeypatch):
    monkeypatch.setattr("tttlab.store.segments.encode", _refuse("tokens"))
    record(journal, 3)
    journal.flush()
    assert "3 rows were left out" in journal.trouble
    assert "tokens: ValueError: refused" in journal.trouble
    monkeypatch.undo()
    record(journal, 4, number=2)
    journal.flush()
    assert rows(journal, "SELECT count(*) FROM tokens") == [(4,)]
    assert rows(journal, "SELECT count(*) FROM spans") == [(2,)]


def _refuse(refused):
    from tttlab.store.segments import encode

    def encoded(kind, table):
        if kind == refused and table.num_rows:
            raise ValueError("refused")
        return encode(kind, table)

    return encoded


def test_a_fault_of_the_journal_itself_neither_ends_it_nor_reaches_who_flushes(journal, monkeypatch):
    def fail(_):
        raise MemoryError("for a while")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_gathered", fail)
        record(journal, 3)
        journal.flush()
        assert "MemoryError: for a while" in journal.trouble
    journal.flush()
    assert rows(journal, "SELECT count(*) FROM tokens") == [(3,)]


def test_an_odd_store_does_not_keep_another_from_being_read(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise ValueError("nothing fits")

    tttlab.configure(traces=tmp_path / "odd")
    with monkeypatch.context() as patched:
        patched.setattr(columns, "spans_table", fail)
        tttlab.think("x", model=tttlab.ScriptedModel())
        tttlab.flush()
    assert "rows were left out" in recorder_for().journal.trouble
    recorder_for().journal.close()
    assert "nothing fits" in capsys.readouterr().err
    tttlab.configure(traces=tmp_path / "other")
    tttlab.think("y", model=tttlab.ScriptedModel())
    assert tttlab.connect().execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_interrupts_while_the_main_thread_flushes_lose_and_double_nothing(journal):
    import signal

    if not hasattr(signal, "setitimer"):
        pytest.skip("Windows has no interval timer")
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    recorded = interrupts = number = 0
    end = time.monotonic() + 2
    try:
        while time.monotonic() < end or interrupts < 20:
            number += 1
            buffer = journal.token_buffer("run-1", f"{number:016x}")
            for position in range(20):
                buffer.record(position, token(position=position))
            buffer.close()
            recorded += 20
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 + number % 7 * 0.0005)
                journal.flush()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    journal.flush()
    assert rows(journal, "SELECT count(*), count(DISTINCT (span_key, position)) FROM tokens") == [(recorded, recorded)]
