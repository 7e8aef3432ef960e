"""`think` and `athink`: the ways in, for scripts and notebook cells alike."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tttlab.answers import Extractor
from tttlab.auto import plan_chosen
from tttlab.budget import Budget
from tttlab.errors import OptionError
from tttlab.labels import Label
from tttlab.naming import name_of
from tttlab.options import resolve
from tttlab.parameters import declared_types
from tttlab.plan import Plan, plan
from tttlab.portal import wait_for
from tttlab.progress import Observer
from tttlab.protocols import Model, Strategy
from tttlab.run import Run
from tttlab.runner import Runner
from tttlab.strategies import AUTO, strategy_class
from tttlab.types import Problem


def think(  # noqa: PLR0913 - every option by its name, so that help and completion show it
    prompt: str | Problem,
    *,
    strategy: str | Strategy | None = None,
    model: str | Model | None = None,
    budget: str | Budget | None = None,
    seed: int = 0,
    reference: str | None = None,
    extract: str | Extractor | None = None,
    allow_code: bool | str | None = None,
    replay: str | None = None,
    pace: float | None = None,
    effort: str | None = None,
    thinking_budget: int | None = None,
    labels: Mapping[str, Label] | None = None,
    observer: Observer | None = None,
    while_waiting: Callable[[], None] = lambda: None,
    **parameters: Any,
) -> Run:
    """Run a strategy on a prompt, wait for its end, and return the `Run`. All it does is recorded in the store.

        run = tttlab.think("What is 6 times 7?", strategy="self_consistency", samples=8, budget="2000 tokens")
        run.answer, run.usage.tokens

    - `prompt`: the question, or a `Problem`, which may carry its reference and its extractor.
    - `strategy`: a name, an object, or an `async def` of `(problem, think)`. Default: `tttlab.configure(strategy=...)`,
      else `direct`, which asks once. `"auto"` takes what recorded samples of the model speak for within the budget.
    - `model`: a name (`local:smollm2`, `local:PATH.gguf`) or an object with a `name` and a `stream`. Default:
      `tttlab.configure(model=...)`, else `local:smollm2`.
    - `budget`: when to stop with the best answer so far: `"2000 tokens"` (prompt and output), `"30 s"`, `"8 calls"`,
      `"$0.05"`, or several with commas. Default: no limit.
    - `seed`: a whole number from which every call's seed is made. Default: 0. The same seed gives the same run, where
      the model can repeat itself.
    - `reference`: the right answer, if it is known. No strategy sees it; `run.correct` and verifiers do.
    - `extract`: how the answer is found in a text: `final_answer` (the default), `last_number`, `last_line`, `boxed`,
      `choice`, `expression`, `whole_text`, `json:FIELD`, or `regex:PATTERN`.
    - `allow_code`: whether programs that the model writes may be run. Default: `tttlab.configure(allow_code=...)`,
      else no.
    - `replay`: whether calls that were recorded are served from their record: `"reuse"` runs what is missing, `"only"`
      refuses it, `"off"` runs everything. Default: `tttlab.configure(replay=...)`, else `reuse` where
      `%load_ext tttlab` was run, and `off` elsewhere.
    - `pace`: how many times as fast as recorded the replayed tokens come: 1 keeps their times. Default: at once.
    - `effort`: how hard the model is to think, as one of its own levels (`tttlab models` shows them), such as `"low"`.
      Default: the model's own.
    - `thinking_budget`: how many tokens it may think beside its answer, where it can be held to that. Default: 8,192
      where it thinks in a channel of its own.
    - `labels`: names and values to find the run by, such as `{"sweep": "pilot"}`: `labels` in the view `runs`.
    - `observer`: called with each piece of news of the run, in the thread that it runs in.
    - `while_waiting`: called about ten times a second in the calling thread: time to show what the observer was told.
    - every other name is a parameter of the strategy, such as `samples=8`.

    Raises `OptionError`, or `ModelError` where the model cannot be had, before anything is spent; `RunFailed` where the
    run ended with an error. An interrupt stops the run, keeps it, and raises `tttlab.portal.Interrupted`, whose
    `result` is the partial run. In code that is asynchronous itself, await `tttlab.athink`.
    """
    planned = _planned(
        prompt,
        parameters,
        strategy=strategy,
        model=model,
        budget=budget,
        seed=seed,
        reference=reference,
        extract=extract,
        allow_code=allow_code,
        replay=replay,
        pace=pace,
        effort=effort,
        thinking_budget=thinking_budget,
        labels=labels,
    )
    runner = Runner(planned, observer)
    return wait_for(runner.run, stop=runner.stop, while_waiting=while_waiting)


async def athink(  # noqa: PLR0913 - likewise
    prompt: str | Problem,
    *,
    strategy: str | Strategy | None = None,
    model: str | Model | None = None,
    budget: str | Budget | None = None,
    seed: int = 0,
    reference: str | None = None,
    extract: str | Extractor | None = None,
    allow_code: bool | str | None = None,
    replay: str | None = None,
    pace: float | None = None,
    effort: str | None = None,
    thinking_budget: int | None = None,
    labels: Mapping[str, Label] | None = None,
    observer: Observer | None = None,
    **parameters: Any,
) -> Run:
    """Like `think`, to be awaited: `run = await tttlab.athink("What is 6 times 7?", strategy="direct")`.

    Its options, their units and their defaults are those of `think`: see `help(tttlab.think)`. A cancellation passes
    through after the run was stopped and kept.

    Raises `OptionError`, or `ModelError` where the model cannot be had, before anything is spent; `RunFailed` where the
    run ended with an error.
    """
    planned = _planned(
        prompt,
        parameters,
        strategy=strategy,
        model=model,
        budget=budget,
        seed=seed,
        reference=reference,
        extract=extract,
        allow_code=allow_code,
        replay=replay,
        pace=pace,
        effort=effort,
        thinking_budget=thinking_budget,
        labels=labels,
    )
    return await Runner(planned, observer).run()


def _planned(
    prompt: str | Problem, parameters: Mapping[str, Any], *, strategy: str | Strategy | None, **options: Any
) -> Plan:
    if (resolve("strategy").value if strategy is None else strategy) == AUTO:
        return plan_chosen(prompt, parameters, **options)
    known = [name for name, each in inspect.signature(plan).parameters.items() if each.kind is each.KEYWORD_ONLY]
    _refuse_misspelt(strategy, [name for name in parameters if name not in known], known)
    return plan(prompt, strategy=strategy, **options, **parameters)


def _refuse_misspelt(strategy: str | Strategy | None, names: list[str], options: list[str]) -> None:
    """Raise `OptionError` for a name that is near an option and is no parameter of the strategy.

    An object takes no parameters, and neither do most functions: for these a name near an option is always refused.
    """
    chosen = resolve("strategy").value if strategy is None else strategy
    takes = strategy_class(chosen) if isinstance(chosen, str) and names else chosen
    declared = list(declared_types(takes)) if isinstance(chosen, str) or inspect.isroutine(chosen) else []
    called = chosen if isinstance(chosen, str) else name_of(chosen)
    for name in names:
        option = difflib.get_close_matches(name.lower(), options, n=1, cutoff=0.65)
        if name in declared or not option:
            continue
        if not declared:
            raise OptionError(f"there is no option {name!r}; did you mean {option[0]!r}?")
        either = difflib.get_close_matches(name.lower(), declared, n=1, cutoff=0.5)
        best_first = difflib.get_close_matches(name.lower(), [*option, *either], cutoff=0)
        others = "" if either else f" {called} has: {', '.join(sorted(declared))}"
        raise OptionError(
            f"no option and no parameter of {called} is named {name!r};"
            f" did you mean {' or '.join(map(repr, best_first))}?{others}"
        )
