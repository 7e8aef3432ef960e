"""One verdict inside a run: asked, recorded, and given whatever the verifier does."""

from __future__ import annotations

from dataclasses import replace
from inspect import isawaitable
from typing import Any

from tttlab.branches import Place, at
from tttlab.call import CallContext
from tttlab.errors import BudgetExhausted
from tttlab.naming import name_of, parameters_of
from tttlab.protocols import Think, Verifier
from tttlab.tracing import names
from tttlab.tracing.attributes import of_evaluation, of_verdict
from tttlab.tracing.hiding import without_secrets
from tttlab.tracing.recorder import set_known
from tttlab.types import Problem, Verdict


async def verify_traced(
    context: CallContext, place: Place, verifier: Verifier, problem: Problem, candidate: str, think: Think
) -> Verdict:
    """Ask a verifier, below the place that asks. It is given the problem's reference, which a strategy is not."""
    name = name_of(verifier)
    opening = {
        names.RUN_ID: context.run_id,
        names.VERIFIER_NAME: name,
        names.VERDICT_CANDIDATE: candidate,
        names.VERIFIER_PARAMETERS: parameters_of(verifier),
        names.BRANCH_PATH: place.branch.path,
    }
    whole = replace(problem, reference=context.problem.reference, check=context.problem.check)
    with context.recorder.span(f"{names.SPAN_VERIFY} {name}", opening, parent=place.span) as span:
        with at(replace(place, span=span)):
            verdict = await _ask(verifier, whole, candidate, think)
        set_known(span, {**of_verdict(verdict), names.VERDICT_SEQUENCE: context.next_sequence()})
        span.add_event(names.EVALUATION_EVENT, dict(without_secrets(of_evaluation(name, verdict))))
    return verdict


async def _ask(verifier: Verifier, problem: Problem, candidate: str, think: Think) -> Verdict:
    try:
        given: Any = verifier(problem, candidate, think)
        verdict = await given if isawaitable(given) else given
    except BudgetExhausted:
        raise
    except Exception as error:  # noqa: BLE001 - a verifier may raise anything: its verdict says so
        return Verdict(score=None, error=f"{type(error).__name__}: {error}")
    if isinstance(verdict, Verdict):
        return verdict
    return Verdict(score=None, error=f"the verifier gave no Verdict, but {verdict!r:.80}")
