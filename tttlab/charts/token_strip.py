"""The token strip: what a model said, token by token in reading order, and how likely each token was to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tttlab.charts.shown_text import counted, quoted, shown, spaces_shown
from tttlab.charts.token_lines import Page
from tttlab.checks import at_least
from tttlab.errors import OptionError
from tttlab.experiments.asked import Store, near, opened, runs_asked
from tttlab.run import Run
from tttlab.types import Completion

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tttlab.charts.renderer import OfflineChart

Row = dict[str, Any]


def token_strip(
    run_or_call: Run | Completion | str,
    *,
    calls: int = 8,
    tokens: int = 300,
    connection: DuckDBPyConnection | None = None,
) -> OfflineChart:
    """The tokens of a run's calls, or of one call, as lines of text, each coloured by its probability.

    A call is named by its `span_id` (from the view `calls`) or by its `Completion`. Of a run, the first `calls` calls
    are shown, of each call the first `tokens` tokens; the chart says what it leaves out. The probability is that of
    the distribution that the call's `logprob_stage` names. Tokens without a log-probability are grey.

    Raises `OptionError` for what is not in the store.
    """
    at_least(1, calls=calls, tokens=tokens)
    with opened(connection) as store:
        run, span_id = _asked(store, run_or_call)
        found = store.rows(_CALLS, run=run["run_id"], span=span_id, calls=calls)
        said = store.rows(_TOKENS, run=run["run_id"], spans=[row["span_id"] for row in found], tokens=tokens)

    from tttlab.charts.token_marks import drawn

    return drawn(_page(found, said), "Token probabilities", _lines(run, found, said))


def _asked(store: Store, run_or_call: Run | Completion | str) -> tuple[Any, str | None]:
    """The run's row, and the call's id where a call was asked for."""
    asked = run_or_call.span_id if isinstance(run_or_call, Completion) else run_or_call
    if isinstance(asked, str) and (owners := store.rows(_OWNER, span=asked)):
        return runs_asked(store, [owners[0]["run_id"]])[0], asked
    if isinstance(run_or_call, Completion):
        raise OptionError(f"the store has no call {asked!r}{near(store, 'calls', 'span_id', str(asked))}")
    return runs_asked(store, [run_or_call])[0], None


def _page(found: Sequence[Row], said: Sequence[Row]) -> Page:
    page = Page()
    for call in found:
        mine = [row for row in said if row["span_id"] == call["span_id"]]
        tokens = [{"text": row["text"], "channel": shown(row["channel"], 20), "facts": _facts(row)} for row in mine]
        missing = mine[0]["recorded"] - len(mine) if mine else 0
        page.add_call(_call_head(call), tokens, f"… {counted(missing, 'more token')} not shown" if missing else None)
    return page


def _facts(row: Row) -> Row:
    """What the tooltip of a token says."""
    top = "   ".join(f"{spaces_shown(each['text'])} {each['probability']:.3f}" for each in row["top"] or [])
    return {
        "token": spaces_shown(row["text"]),
        "channel": shown(row["channel"], 20),
        "probability": row["probability"],
        "top": top or None,
        "entropy": row["entropy"],
        "position": row["position"],
        "seconds": row["seconds"],
    }


def _call_head(call: Row) -> str:
    """`call 3 · branch 0.1 · judge · cancelled by budget · answer 56 · 43 tokens · ...`."""
    status = f"{call['status']} by {call['cancelled_by']}" if call["cancelled_by"] else call["status"]
    parts = [f"call {call['number']}"]
    if call["branch"]:
        parts.append(f"branch {call['branch']}")
    if call["role"] != "generator":
        parts.append(shown(call["role"], 30))
    if status != "ok":
        parts.append(status)
    if call["answer"] is not None:
        parts.append(f"answer {shown(call['answer'], 40)}")
    if call["output_tokens"] is not None:
        parts.append(counted(call["output_tokens"], "output token"))
    if call["mean_probability"] is not None:
        parts.append(f"geometric mean probability {call['mean_probability']:.3f}")
    if call["granularity"] == "chunk":
        parts.append("streamed in chunks, not tokens")
    if call["visibility"] in ("omitted", "encrypted") and call["thinking_tokens"]:
        parts.append(f"{counted(call['thinking_tokens'], 'thinking token')} {call['visibility']} by the host")
    return " · ".join(parts)


def _lines(run: Row, found: Sequence[Row], said: Sequence[Row]) -> list[str]:
    recorded = sum({row["span_id"]: row["recorded"] for row in said}.values())
    noun = "chunk" if said and all(row["granularity"] == "chunk" for row in said) else "token"
    drawn = counted(recorded, noun) if recorded == len(said) else f"{len(said):,} of {counted(recorded, noun)}"
    total = found[0]["calls"] if found else 0
    calls = counted(total, "call") if total == len(found) else f"{len(found)} of {counted(total, 'call')} shown"
    kind = f"{shown(run['strategy'], 60)}, {shown(run['model'], 60)}"
    lines = [f"n = {drawn}, {calls}, of 1 run ({run['status']}): {kind}", quoted(run["prompt"])]
    if grey := sum(row["probability"] is None for row in said):
        lines.append(f"grey: the model gave no log-probability ({grey:,} of {len(said):,} shown)")
    return lines


_OWNER = "SELECT run_id FROM calls WHERE span_id = $span"

_CALLS = """
SELECT
    span_id, branch, role, status, cancelled_by, answer, output_tokens, thinking_tokens, visibility, granularity,
    CASE WHEN isfinite(mean_logprob) THEN exp(mean_logprob) END AS mean_probability,
    row_number() OVER (ORDER BY started, branch, ordinal) AS number,
    count(*) OVER () AS calls
FROM calls
WHERE run_id = $run
QUALIFY CASE WHEN $span::VARCHAR IS NULL THEN number <= $calls ELSE span_id = $span END
ORDER BY number
"""

_TOKENS = """
SELECT
    token.span_id, position, channel, token."text", token.granularity,
    CASE WHEN NOT isnan(logprob) THEN round(least(1, exp(logprob::DOUBLE)), 5) END AS probability,
    CASE WHEN isfinite(entropy_topk) THEN round(entropy_topk, 4) END AS entropy,
    list_transform(top, lambda t: {'text': t."text", 'probability': exp(t.logprob)}) AS top,
    round((time_ns - epoch_ns(call.started)) / 1e9, 4) AS seconds,
    count(*) OVER (PARTITION BY token.span_id) AS recorded
FROM tokens AS token
JOIN calls AS call USING (run_id, span_key)
WHERE run_id = $run AND token.span_id IN (SELECT unnest($spans::VARCHAR[]))
QUALIFY row_number() OVER (PARTITION BY token.span_id ORDER BY position) <= $tokens
ORDER BY token.span_id, position
"""
