"""What `allocate` was given, resolved and checked before anything is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tttlab.abilities import require_price
from tttlab.allocation.allotted import Allotted
from tttlab.allocation.result import UNITS, Unit
from tttlab.allocation.rules import RULES, Ballot
from tttlab.answers import Extractor
from tttlab.budget import Budget
from tttlab.checks import at_least
from tttlab.errors import OptionError, nearest
from tttlab.plan import Plan, plan
from tttlab.protocols import Model
from tttlab.types import Problem, Usage

Difficulty = Mapping[str, float] | Callable[[Problem], float]
"""By problem id (or prompt), or a function of the problem, which sees no reference; in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a budget is to be spread, and how samples are drawn; `tttlab.aallocate` says what each means."""

    rule: str = "posterior"
    minimum: int = 2
    maximum: int = 40
    batch: int = 4
    threshold: float = 0.95
    difficulty: Difficulty | None = None
    temperature: float = 0.7
    max_tokens: int = 512

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise OptionError(f"no rule of allocation is named {self.rule!r}{nearest(str(self.rule), RULES)}")
        at_least(1, **{"the minimum of samples": self.minimum}, batch=self.batch)
        at_least(self.minimum, **{"the maximum of samples": self.maximum})
        at_least(0, threshold=self.threshold)
        if self.threshold > 1:
            raise OptionError(f"threshold={self.threshold:g} is a probability: give one of at most 1")
        if self.difficulty is not None and self.rule != "difficulty":
            raise OptionError(f"the rule {self.rule!r} takes no difficulty: leave it out, or give rule='difficulty'")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationPlan:
    """Everything that an allocation is to be, resolved and checked, before anything is spent."""

    plans: tuple[Plan, ...]
    budget: Budget
    unit: Unit
    terms: Terms
    difficulties: tuple[float, ...] | None
    """Of the problems, where they are known beforehand; equal ones for the rule `uniform`."""


def plan_allocation(
    problems: Iterable[str | Problem],
    *,
    budget: str | Budget,
    model: str | Model | None = None,
    seed: int = 0,
    extract: str | Extractor | None = None,
    replay: str | None = None,
    pace: float | None = None,
    **options: Any,
) -> AllocationPlan:
    """Resolve and check what `allocate` was given; the other options are those of `Terms`.

    Raises `OptionError`, or `ModelError` where a model cannot be had.
    """
    known = ["model", "seed", "extract", "replay", "pace", *(item.name for item in fields(Terms))]
    for name in options:
        if name not in known:
            raise OptionError(f"allocate has no option {name!r}{nearest(name, known)}")
    terms, limits = Terms(**options), Budget.of(budget)
    unit, listed = _unit(limits), _listed(problems)
    strategy = Allotted(grants=_none, temperature=terms.temperature, max_tokens=terms.max_tokens)
    plans = [
        plan(problem, strategy=strategy, model=model, seed=seed, extract=extract, replay=replay, pace=pace)
        for problem in listed
    ]
    require_price(limits, plans[0].model)
    _distinct([each.problem for each in plans])
    _require_room(limits, plans)
    difficulties = _difficulties(terms, [each.problem for each in plans])
    return AllocationPlan(plans=tuple(plans), budget=limits, unit=unit, terms=terms, difficulties=difficulties)


async def _none(ballot: Ballot) -> int:  # noqa: ARG001 - each problem's own grants take its place
    return 0


def _listed(problems: Iterable[str | Problem]) -> Sequence[str | Problem]:
    if isinstance(problems, str | Problem):
        raise OptionError("one problem leaves nothing to allocate: give several, in a list")
    listed = list(problems)
    if not listed:
        raise OptionError("there are no problems to spread the budget over: give at least one")
    for each in listed:
        if not isinstance(each, str | Problem):
            raise OptionError(f"{each!r:.60} is not a problem: give texts, or tttlab.Problem objects")
    return listed


def _distinct(problems: Sequence[Problem]) -> None:
    seen: dict[str, Problem] = {}
    for problem in problems:
        if problem.id in seen:
            raise OptionError(f"the problem {problem.id!r} ({problem.prompt!r:.40}) is given twice: give each id once")
        seen[problem.id] = problem


def _unit(limits: Budget) -> Unit:
    for unit in UNITS:
        if getattr(limits, unit) is not None:
            return unit
    raise OptionError("there is no budget to allocate: give one, such as budget='20000 tokens'")


def _require_room(limits: Budget, plans: Sequence[Plan]) -> None:
    """Refuse what cannot work: a sample costs a call, at least a token for each word of its prompt, and one more."""
    asked = [Usage(prompt_tokens=len(each.problem.prompt.split()), output_tokens=1, calls=1) for each in plans]
    least = sum(asked, Usage())
    price = plans[0].price
    needs = {"calls": least.calls, "tokens": least.tokens, "dollars": price.dollars(least) if price else 0.0}
    for unit, need in needs.items():
        limit = getattr(limits, unit)
        if limit is not None and limit < need:
            raise OptionError(
                f"a budget of {limits} has no room for one sample of each of {len(plans)} problems: "
                f"give at least {need:g} {unit}, or fewer problems"
            )


def _difficulties(terms: Terms, problems: Sequence[Problem]) -> tuple[float, ...] | None:
    if terms.rule == "uniform":
        return (1.0,) * len(problems)
    given = terms.difficulty
    return None if given is None else tuple(_difficulty(given, problem) for problem in problems)


def _difficulty(given: Difficulty, problem: Problem) -> float:
    if isinstance(given, Mapping):
        key = problem.id if problem.id in given else problem.prompt
        if key not in given:
            raise OptionError(f"the problem {problem.id!r} has no difficulty{nearest(problem.id, map(str, given))}")
        value = given[key]
    elif callable(given):
        value = given(problem.blind)
    else:
        raise OptionError(f"difficulty={given!r:.40} is neither a mapping nor a function of a problem")
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise OptionError(f"the difficulty of {problem.id!r} is {value!r:.40}: give a number from 0 to 1")
    return float(value)
