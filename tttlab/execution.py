"""One program run inside a run: recorded as a tool's execution, under the conventions' names."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict

import anyio

from tttlab.branches import Place
from tttlab.call import CallContext
from tttlab.sandbox import run_program
from tttlab.tracing import names
from tttlab.tracing.recorder import set_known
from tttlab.types import CodeLimits, Ran

TOOL = "python"


async def run_traced(context: CallContext, place: Place, code: str, stdin: str, limits: CodeLimits) -> Ran:
    """Run a program in the sandbox, below the place that asks, or tell how it ended where that is replayed.

    A budget that ends meanwhile ends the program. Raises `MissingCall` where only what is recorded may be told.
    """
    arguments = json.dumps({"code": code, **({"stdin": stdin} if stdin else {})})
    replay = context.replay
    recorded = replay.find_program(place.branch.path, arguments, limits) if replay else None
    opening = {
        names.OPERATION: names.OPERATION_TOOL,
        names.TOOL_NAME: TOOL,
        names.TOOL_TYPE: "function",
        names.TOOL_ARGUMENTS: arguments,
        names.RUN_ID: context.run_id,
        names.BRANCH_PATH: place.branch.path,
        names.CODE_LIMITS: asdict(limits),
        names.REPLAY_MODE: replay.mode if replay and recorded else None,
    }
    with context.recorder.span(f"{names.OPERATION_TOOL} {TOOL}", opening, parent=place.span) as span:
        if recorded is not None:
            ran = recorded
        else:
            if replay is not None:
                if replay.ends_here():
                    await anyio.sleep_forever()
                replay.begin_program()
            with replay.order.busy() if replay else nullcontext():
                ran = await run_program(code, stdin=stdin, limits=limits)
        set_known(
            span,
            {
                names.TOOL_RESULT: json.dumps({"stdout": ran.stdout, "stderr": ran.stderr}),
                names.CODE_OUTCOME: ran.outcome,
                names.CODE_EXIT: ran.exit_code,
                names.CODE_SECONDS: ran.seconds,
                names.CODE_ISOLATION: ran.isolation,
                names.ERROR_TYPE: None if ran.outcome == "ok" else ran.outcome,
            },
        )
    return ran
