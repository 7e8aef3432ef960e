"""Keys are planted wherever they can get in, and looked for wherever they could come out."""

import json
import logging
import random
import time
from functools import partial

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tttlab
from tttlab.cli import main
from tttlab.errors import CallError, HostError, RunFailed
from tttlab.events import Alternatives, ChunkDelta, Finish, TokenDelta
from tttlab.masking import SIGN, hidden, known_secrets, masked, masked_values, places_in, settled, unsure_from
from tttlab.models.credentials import key_file
from tttlab.recording import recorder_for
from tttlab.tracing.tokens import TokenBuffer
from tttlab.types import Capabilities, Verdict

IN_ENVIRONMENT = "sk-ant-planted-Env0123456789"
IN_FILE = "gsk_planted/File+9876543210"
PLANTED = (IN_ENVIRONMENT, IN_FILE)


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """One key in the environment and one in the file of keys."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    key_file().parent.mkdir(parents=True)
    key_file().write_text(f'cloud = "{IN_FILE}"\n')
    key_file().chmod(0o600)
    monkeypatch.setenv("PLANTED_API_KEY", IN_ENVIRONMENT)


class Leaks:
    """Says every key, in its thinking and in its answer, in small pieces; its host's error has them too."""

    name = "leaks"
    can = Capabilities(seed=True, thinking=True, logprobs=True)

    def __init__(self, *, chunks=False, fails=False, size=3):
        self.chunks, self.fails, self.size = chunks, fails, size

    async def stream(self, request):
        text = f"the keys are {IN_ENVIRONMENT}{IN_FILE} and {IN_FILE}. The answer is {IN_ENVIRONMENT}"
        for channel in ("thinking", "answer"):
            for at in range(0, len(text), self.size):
                piece = text[at : at + self.size]
                top = Alternatives((at, 1), (piece, IN_FILE if at == 0 else "x"), (-0.5, -1.5))
                yield (
                    ChunkDelta(piece, time.time_ns(), channel)
                    if self.chunks
                    else TokenDelta(piece, time.time_ns(), at, -0.5, top, channel)
                )
                tttlab.flush()
        if self.fails:
            raise HostError(f"bad key {IN_ENVIRONMENT}", provider="cloud", model=IN_FILE)
        yield Finish("stop", "full", notes=(f"{IN_FILE} was refused",), response_id=IN_ENVIRONMENT)


async def leaky(problem, think, *, parameter=IN_ENVIRONMENT, nested=({"a": [IN_ENVIRONMENT]},)):
    """Puts keys wherever a strategy can."""
    with think.branch(note=IN_FILE) as branch:
        [completion] = await think.complete(f"{problem.prompt} {IN_ENVIRONMENT}", stop=(IN_FILE,))
        branch.mark(reason=f"it said {IN_ENVIRONMENT}")

    async def verifier(problem, candidate, think, *, hint=IN_FILE):
        return Verdict(score=None, explanation=f"not {IN_ENVIRONMENT}", error=f"ValueError: {IN_FILE}")

    await think.verify(verifier, problem, completion.text)
    think.propose(IN_FILE, votes={IN_FILE: 2.0, "56": 1.0})
    if IN_FILE in parameter:
        raise ValueError(f"{IN_FILE} was all that it said")
    logging.getLogger("tttlab.test").info("it goes on")


def everything_in(folder):
    """Every byte of the folder's files, as it lies there and as Parquet and DuckDB read it."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        yield str(path), path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            yield f"{path}, read", json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode()
            if "text" in table.column_names:
                yield f"{path}, joined", "".join(table["text"].to_pylist()).encode()
        elif path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                    rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
                    yield f"{path}, {name}", json.dumps(rows, default=str, ensure_ascii=False).encode()


def assert_clean(places):
    leaks = [(where, key) for where, data in places for key in PLANTED if key.encode() in data]
    assert leaks == []


@pytest.mark.parametrize(
    ("model", "strategy"),
    [(Leaks(), leaky), (Leaks(chunks=True, fails=True), leaky), (Leaks(size=90), partial(leaky, parameter=IN_FILE))],
)
def test_no_key_reaches_the_store_a_bundle_an_export_or_another_exporter(
    planted, own_store, tmp_path, capsys, caplog, model, strategy
):
    caplog.set_level(logging.DEBUG)
    elsewhere = InMemorySpanExporter()
    recorder_for().provider.add_span_processor(SimpleSpanProcessor(elsewhere))
    said = []
    try:
        run = tttlab.think(f"What is {IN_FILE}?", model=model, strategy=strategy, reference=IN_ENVIRONMENT, seed=5)
        said += [repr(run), run._repr_mimebundle_()["text/plain"], run._repr_mimebundle_()["text/html"]]
    except RunFailed as failed:
        said += [str(failed), repr(failed), repr(failed.run), str(failed.run.error)]
        said.append(str(failed.run._repr_mimebundle_()))
        if isinstance(failed.__cause__, tttlab.TttlabError):  # Another's error is its own.
            said += [str(failed.__cause__), repr(failed.__cause__)]
    tttlab.flush()
    assert_clean(everything_in(own_store))
    assert main(["compact", "--to", str(tmp_path / "all.duckdb")]) == 0
    assert main(["export", "--to", str(tmp_path / "bundle")]) == 0
    assert main(["export-otlp", "--to", str(tmp_path / "spans.jsonl"), "--tokens", "attribute"]) == 0
    assert main(["sql", "SELECT * FROM spans"]) == 0
    assert main(["sql", "SELECT string_agg(text, '' ORDER BY position) FROM tokens GROUP BY channel", "--csv"]) == 0
    key_file().unlink()
    assert_clean(everything_in(tmp_path))
    said += [*capsys.readouterr(), caplog.text]
    said += [span.to_json() for span in elsewhere.get_finished_spans()]
    assert_clean((text[:200], text.encode()) for text in said)
    assert len(elsewhere.get_finished_spans()) >= 3


@pytest.mark.parametrize("size", [2, 7, 40])
def test_hidden_tokens_keep_their_place_and_length_and_say_that_they_are_hidden(planted, size):
    tttlab.think("go on", model=Leaks(size=size))
    rows = (
        tttlab.connect()
        .execute("SELECT text, token_id, top, logprob FROM tokens WHERE channel = 'answer' ORDER BY position")
        .fetchall()
    )
    signs = SIGN * (len(IN_ENVIRONMENT) + len(IN_FILE))
    text = f"the keys are {signs} and {SIGN * len(IN_FILE)}. The answer is {SIGN * len(IN_ENVIRONMENT)}"
    assert [row[0] for row in rows] == [text[at : at + size] for at in range(0, len(text), size)]
    assert all((SIGN in row[0]) == (row[1] is None) for row in rows)
    assert all((row[2] is None) == (row[1] is None) for row in rows[1:])
    assert all(row[3] == -0.5 for row in rows)
    marked = (
        tttlab.connect()
        .execute("SELECT attributes ->> '$.\"tttlab.masked\"' FROM spans WHERE name LIKE 'chat%'")
        .fetchone()
    )
    assert int(marked[0]) >= 4


def test_a_strategy_is_given_what_the_model_said(planted):
    seen = []

    async def looks(problem, think):
        seen.extend(await think.complete(problem.prompt))

    tttlab.think("go on", model=Leaks(), strategy=looks)
    assert seen[0].text.endswith(IN_ENVIRONMENT)


def test_an_error_hides_keys_whatever_it_quotes(planted):
    recorder_for()
    for error in (
        HostError(f"Incorrect API key: {IN_ENVIRONMENT}", provider="cloud", model=IN_FILE),
        CallError(f"{IN_FILE} failed"),
    ):
        assert_clean((text, text.encode()) for text in (str(error), repr(error), repr(vars(error))))
        assert SIGN * 8 in str(error)


def test_a_key_that_came_to_be_known_later_is_hidden_from_then_on(planted, monkeypatch):
    monkeypatch.setenv("LATER_TOKEN", "planted-later-key")
    assert masked("a planted-later-key") == f"a {SIGN * 17}"


SECRETS = st.lists(st.text("ab-", min_size=2, max_size=5), min_size=1, max_size=3, unique=True).map(
    lambda found: tuple(sorted(found, key=len, reverse=True))
)


@given(st.text("ab-c", max_size=40), SECRETS)
def test_no_secret_is_left_in_a_text_and_nothing_else_is_changed(text, secrets):
    shown = hidden(text, places_in(text, secrets))
    assert len(shown) == len(text)
    assert not any(secret in shown for secret in secrets)
    inside = {at for secret in secrets for at in range(len(text)) if text.startswith(secret, at)}
    touched = {
        number
        for secret in secrets
        for at in inside
        if text.startswith(secret, at)
        for number in range(at, at + len(secret))
    }
    assert all(shown[number] == (SIGN if number in touched else text[number]) for number in range(len(text)))


@given(st.text("ab-c", max_size=40), SECRETS)
def test_what_is_settled_cannot_become_a_secret(text, secrets):
    at = unsure_from(text, secrets)
    starts = [n for n in range(len(text)) if any(s != text[n:] and s.startswith(text[n:]) for s in secrets)]
    assert at == min([*starts, len(text)]) or any(text.endswith(secret) for secret in secrets)
    assert at <= min([*starts, len(text)])


@given(st.text("ab-c", max_size=60), SECRETS, st.integers(0, 2**32))
def test_tokens_taken_piece_by_piece_hide_what_the_whole_text_hides(text, secrets, seed):
    rng = random.Random(seed)
    buffer, taken, at = TokenBuffer("run", "1" * 16), [], 0
    while at < len(text):
        step = rng.randint(0, 4)
        buffer.record(at, TokenDelta(text[at : at + step], 0))
        at += step
        if rng.random() < 0.5:
            taken.append("".join(event.text for event in buffer.take(secrets)[2]))
    taken.append("".join(event.text for event in buffer.take()[2]))
    assert "".join(taken) == text
    apart = "".join(hidden(piece, places_in(piece, secrets)) for piece in taken)
    assert apart == hidden(text, places_in(text, secrets))


def test_without_credentials_nothing_is_held_back(monkeypatch):
    monkeypatch.setattr("tttlab.masking._known._listed", ())
    assert settled(["s", "k-"], ()) == 2
    assert places_in("sk-", ()) == []


def test_the_environment_is_read_when_it_changes(monkeypatch):
    monkeypatch.setenv("FIRST_API_KEY", "planted-first")
    assert "planted-first" in known_secrets()
    monkeypatch.setenv("FIRST_API_KEY", "planted-again")
    assert "planted-again" in known_secrets()
    assert "planted-first" not in known_secrets()
    monkeypatch.delenv("FIRST_API_KEY")
    assert "planted-again" not in known_secrets()


def test_spans_of_other_libraries_are_hidden_in_too(planted, own_store):
    tracer = recorder_for().provider.get_tracer("another")
    with tracer.start_as_current_span(f"GET {IN_FILE}") as span:
        span.set_attribute("http.request.header.authorization", [f"Bearer {IN_ENVIRONMENT}"])
        span.set_attribute(f"of {IN_FILE}", IN_ENVIRONMENT.encode())
        span.add_event("failed", {"exception.message": IN_ENVIRONMENT})
    tttlab.flush()
    assert_clean(everything_in(own_store))
    [(attributes,)] = tttlab.connect().execute("SELECT attributes FROM spans").fetchall()
    assert json.loads(attributes)["tttlab.masked"] == 5


def test_a_value_that_holds_itself_is_hidden_in_as_well(planted, own_store):
    endless = {"key": IN_ENVIRONMENT}
    endless["again"] = [endless]
    shown, count = masked_values({"a": endless})
    assert count
    assert IN_ENVIRONMENT not in repr(shown)


def test_a_variable_that_takes_anothers_place_is_known_at_once(monkeypatch):
    monkeypatch.setenv("FIRST_API_KEY", "planted-first")
    assert "planted-first" in known_secrets()
    for number in range(20):
        monkeypatch.delenv("FIRST_API_KEY" if number == 0 else f"NEXT{number - 1}_API_KEY")
        monkeypatch.setenv(f"NEXT{number}_API_KEY", f"planted-{number:04}")
        assert f"planted-{number:04}" in known_secrets()
