"""Spans as tttlab records them of its runs, made up from a fixed seed: for measurements beside other tools."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tttlab.tracing import names
from tttlab.tracing.rows import SpanRow

CALLS, BRANCHES, PROPOSALS = 10, 6, 3
"""Of each run, beside its root."""
SPANS_A_RUN = 1 + CALLS + BRANCHES + PROPOSALS
CHARACTERS = 300
"""Of a message."""
START = 1_790_000_000_000_000_000
MODEL = "local:smollm2"
SPENT_AND_BASIS = (names.SPENT_PREFIX, names.BASIS_PREFIX)
RESOURCE = {
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.2",
    "service.instance.id": "f6bc42aa-a980-45c8-9d1a-7c8db4d6be74",
    "service.name": "tttlab",
    "service.version": "0.1.0",
}
_LETTERS = random.Random(0)
WORDS = ["".join(_LETTERS.choices("etaoinshrdlucmfw", k=_LETTERS.randint(2, 7))) for _ in range(2_000)]
"""As many as make text that gzip shortens about as English (to some 40 %)."""


def spans_of_runs(runs: int) -> list[SpanRow]:
    """The spans of so many runs, `SPANS_A_RUN` each."""
    rng = random.Random(0)
    return [row for number in range(runs) for row in _run(rng, number)]


def _run(rng: random.Random, number: int) -> list[SpanRow]:
    """The spans of one run as they end: calls, branches and proposals, and their root at last."""
    about = {names.RUN_ID: f"20260921-{number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}-{number:06d}"}
    trace, root, prompt = f"{rng.getrandbits(128):032x}", _id(rng), _text(rng)
    strategy = ("self_consistency", "best_of_n", "tree_of_thought")[number % 3]
    made = [(f"chat {MODEL}", _call(rng, prompt, each)) for each in range(CALLS)]
    made += [(f"branch {each}", _branch(rng, each)) for each in range(BRANCHES)]
    made += [("propose", _proposal(rng, each)) for each in range(PROPOSALS)]
    begun = START + number * 60 * 10**9
    rows, last = [], begun
    for name, attributes in made:
        start = begun + rng.randrange(2 * 10**9)
        end = start + rng.randrange(10**6, 4 * 10**9)
        rows.append(_row(trace, _id(rng), root, name, (start, end), {**about, **attributes}))
        last = max(last, end)
    rows.sort(key=lambda row: row.end_ns or 0)
    name = f"invoke_workflow {strategy}"
    return [*rows, _row(trace, root, None, name, (begun, last), {**about, **_root(rng, prompt, strategy)})]


def _root(rng: random.Random, prompt: str, strategy: str) -> dict[str, Any]:
    return {
        names.OPERATION: names.OPERATION_RUN,
        names.WORKFLOW_NAME: strategy,
        names.STRATEGY_NAME: strategy,
        names.STRATEGY_PARAMETERS: {"samples": CALLS, "temperature": 0.7, "max_tokens": 512},
        names.RUN_SEED: rng.getrandbits(31),
        names.RUN_OPTIONS: {"strategy": {"value": strategy, "source": "given"}, "replay": {"value": "off"}},
        names.RUN_ENVIRONMENT: {"python": "3.11.7", "tttlab": "0.1.0", "duckdb": "1.5.0", "pyarrow": "26.0.1"},
        names.RUN_STATUS: "ok",
        names.MODEL_NAME: MODEL,
        names.PROBLEM_ID: f"sha256:{_id(rng)}",
        names.PROBLEM_PROMPT: prompt,
        names.ANSWER_VALUE: str(rng.randrange(100)),
    }


def _call(rng: random.Random, prompt: str, number: int) -> dict[str, Any]:
    asked, said = ({"type": "text", "content": text} for text in (prompt, _text(rng)))
    return {
        names.OPERATION: names.OPERATION_CHAT,
        names.PROVIDER: "tttlab",
        names.REQUEST_MODEL: MODEL,
        names.RESPONSE_MODEL: MODEL,
        names.REQUEST_SEED: rng.getrandbits(31),
        names.REQUEST_STREAM: True,
        names.REQUEST_TEMPERATURE: 0.7,
        names.REQUEST_TOP_P: 1.0,
        names.REQUEST_MAX_TOKENS: 512,
        names.INPUT_MESSAGES: [{"role": "user", "parts": [asked]}],
        names.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [said], "finish_reason": "stop"}],
        names.RESPONSE_FINISH_REASONS: ["stop"],
        names.RESPONSE_TIME_TO_FIRST_CHUNK: rng.random(),
        names.USAGE_INPUT: len(prompt) // 4,
        names.USAGE_OUTPUT: CHARACTERS // 4,
        names.USAGE_THINKING: 0,
        names.USAGE_CALLS: 1,
        names.LOGPROB_MEAN: -rng.expovariate(2),
        names.CALL_ROLE: "generator",
        names.CALL_STATUS: "ok",
        names.CALL_DIGEST: f"sha256:{rng.getrandbits(128):032x}",
        names.CALL_ORDINAL: number,
        names.BRANCH_PATH: str(number % BRANCHES),
    }


def _branch(rng: random.Random, number: int) -> dict[str, Any]:
    return {
        names.BRANCH_PATH: str(number),
        names.BRANCH_PARENT: "",
        names.BRANCH_DEPTH: 1,
        names.BRANCH_INDEX: number,
        names.BRANCH_STATE: rng.choice(("expanded", "pruned", "selected")),
        names.BRANCH_SCORE: rng.random(),
        f"{names.BRANCH_PREFIX}thought": _text(rng),
    }


def _proposal(rng: random.Random, number: int) -> dict[str, Any]:
    spent = {"prompt_tokens": 75 * number, "output_tokens": 75 * number, "calls": number}
    return {
        names.BRANCH_PATH: "",
        names.ANSWER_VALUE: str(rng.randrange(100)),
        names.ANSWER_CONFIDENCE: rng.random(),
        names.ANSWER_CORRECT: rng.random() < 0.5,
        names.ANSWER_SEQUENCE: 16 + number,
        names.VOTE_TALLY: {"56": number, "54": 1},
        **{f"{prefix}{unit}": count for prefix in SPENT_AND_BASIS for unit, count in spent.items()},
    }


def _row(
    trace: str, span: str, parent: str | None, name: str, times: tuple[int, int], attributes: Mapping[str, Any]
) -> SpanRow:
    return SpanRow(
        trace, span, parent, name, "INTERNAL", *times, "UNSET", None, attributes, [], [], RESOURCE,
        "tttlab", "0.1.0", "", 1, 0, 0, 0,
    )  # fmt: skip


def _id(rng: random.Random) -> str:
    return f"{rng.getrandbits(63) + 1:016x}"


def _text(rng: random.Random) -> str:
    text = ""
    while len(text) < CHARACTERS:
        text += f"{rng.choice(WORDS)} "
    return text.strip()
