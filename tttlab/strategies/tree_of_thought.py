"""Search a tree of partial solutions that the model proposes and judges itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Think
from tttlab.strategies.steps import (
    CONCLUDE,
    STEP,
    Node,
    Stepper,
    best_first,
    ends_a_step,
    expanded,
    fill,
    in_branches,
    lines_in,
    one_of,
)
from tttlab.types import Answer, Problem

PROPOSE = """{problem}

Steps so far:
{steps}

Write up to {n} different possible next steps, one a line and nothing else. \
A step that completes the solution says "The answer is" and the answer."""
VALUE = """{problem}

Steps so far:
{steps}

Can these steps lead to the right answer, or if they state an answer, is it right? \
Reason briefly. The last line is one word: sure, likely or impossible."""
VOTE = """{problem}

Which of these partial solutions is the most promising?

{choices}

Reason briefly. The last line says "The best choice is" and its number."""

VALUES = {"impossible": 0.001, "likely": 1.0, "sure": 20.0}
"""What the evaluator's words are worth, as in the paper's release. A reply without one of them is worth nothing."""
_WORD = re.compile(rf"\b({'|'.join(VALUES)})\b", re.IGNORECASE)
_CHOICE = re.compile(r"best choice\D*(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOfThought:
    """Tree of thoughts: propose next steps, judge the states they lead to, search (Yao et al., 2023).

    A state is the problem with some steps. `generate="propose"` asks once for up to `n_generate` next steps, one a
    line; `"sample"` draws `n_generate` of them, each ending at `separator`. `evaluate="value"` asks `n_evaluate` times
    for each state whether it is impossible (0.001), likely (1) or sure (20) to succeed and adds these up; `"vote"`
    shows all states together and counts `n_evaluate` votes. A reply that cannot be read abstains. A state that is
    there twice is judged once; the second is worth 0.

    `search="breadth_first"` keeps the `n_select` best of each of `depth` levels (the first seen among equals) and
    answers with the best of the last. `"depth_first"` follows the best child first and backtracks: children worth no
    more than `threshold` are pruned (never for want of a readable judgement), and it ends once `n_select` states are
    at full depth or state an answer. A state that states an answer is not expanded; a best state that states none is
    asked for it in one call more. The answer's confidence is its state's share of the greatest possible value.

    Prompts are templates in which `{problem}`, `{steps}`, `{last}` (the last step), `{n}` and `{choices}` are filled.
    Costs, in calls, at most `depth * n_select * (1 + n_generate * n_evaluate)` breadth-first with propose and value;
    the first level has one state only. Not self-consistency: leaves don't vote, and its best state is the model's own
    opinion, not a check.
    """

    search: Literal["breadth_first", "depth_first"] = "breadth_first"
    generate: Literal["propose", "sample"] = "propose"
    evaluate: Literal["value", "vote"] = "value"
    depth: int = 3
    n_generate: int = 5
    n_evaluate: int = 3
    n_select: int = 5
    threshold: float = 0.5
    temperature: float = 0.7
    max_tokens: int = 256
    separator: str = "\n\n"
    propose_prompt: str = PROPOSE
    sample_prompt: str = STEP
    value_prompt: str = VALUE
    vote_prompt: str = VOTE

    def __post_init__(self) -> None:
        at_least(1, depth=self.depth, n_generate=self.n_generate, n_evaluate=self.n_evaluate, n_select=self.n_select)
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, temperature=self.temperature)
        one_of(("breadth_first", "depth_first"), search=self.search)
        one_of(("propose", "sample"), generate=self.generate)
        one_of(("value", "vote"), evaluate=self.evaluate)
        ends_a_step(self.separator)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        tree = _Tree(self, problem, think)
        best = await (tree.breadth_first() if self.search == "breadth_first" else tree.depth_first())
        [answer] = await in_branches(think, tree.conclude, [best])
        return tree.propose(answer, best)


@dataclass(slots=True, eq=False)
class _State(Node):
    judged: bool = False


@dataclass(slots=True)
class _Tree:
    how: TreeOfThought
    problem: Problem
    think: Think
    proposed: Answer | None = None
    judged: list[_State] = field(default_factory=list)
    stepper: Stepper = field(init=False)

    def __post_init__(self) -> None:
        question = self.how.sample_prompt
        self.stepper = Stepper(self.how, self.problem, self.think, lambda steps: self.filled(question, steps))

    async def breadth_first(self) -> _State:
        frontier = [_State()]
        for _ in range(self.how.depth):
            grown = await self.grow(frontier)
            if all(state in frontier for state in grown):
                return (grown or frontier)[0]
            await self.judge(grown if self.how.evaluate == "vote" else [s for s in grown if s not in frontier])
            frontier = best_first(grown)[: self.how.n_select]
            for state in grown:
                state.mark(state="selected" if state in frontier else "pruned")
            self.offer(frontier)
        return frontier[0]

    async def depth_first(self) -> _State:
        leaves: list[_State] = []
        await self.visit(_State(), leaves)
        return best_first(leaves or self.judged or [_State()])[0]

    async def visit(self, state: _State, leaves: list[_State]) -> None:
        children = await self.grow([state])
        await self.judge(children)
        self.offer(leaves or self.judged)
        for child in best_first(children):
            if len(leaves) >= self.how.n_select:
                child.mark(state="pruned", reason="enough leaves")
            elif child.judged and child.score <= self.how.threshold:
                child.mark(state="pruned", reason="value")
            elif child.final or len(child.steps) >= self.how.depth:
                child.mark(state="selected")
                leaves.append(child)
                self.offer(leaves)
            else:
                await self.visit(child, leaves)

    async def grow(self, frontier: Sequence[_State]) -> list[_State]:
        """The next level: in place of each state its children, and those that state an answer as they are."""
        unfinished = [state for state in frontier if not state.final]
        grown = await in_branches(self.think, self.expand, unfinished)
        children = dict(zip(map(id, unfinished), grown, strict=True))
        return [each for state in frontier for each in children.get(id(state), [state])]

    async def expand(self, state: _State) -> list[_State]:
        how = self.how
        if how.generate == "propose":
            drawn = self.proposals(state)
        else:
            drawn = self.stepper.next_steps(state.steps, n=how.n_generate, role="proposer")
        return [child for thought in await expanded(state, drawn) if (child := self.child(state, thought))]

    def child(self, state: _State, thought: str) -> _State | None:
        """The state one step on, in a branch of its own; a step that is empty or was taken before is a failed one."""
        with self.think.branch(state.branch, thought=thought) as branch:
            if thought and thought not in state.steps:
                return _State(branch, (*state.steps, thought))
            branch.mark(state="failed", reason="repeats a step before it" if thought else "empty")
        return None

    async def proposals(self, state: _State) -> list[str]:
        how = self.how
        prompt = self.filled(how.propose_prompt, state.steps)
        [reply] = await self.think.complete(
            prompt, role="proposer", temperature=how.temperature, max_tokens=how.max_tokens
        )
        return lines_in(reply.text)[: how.n_generate] or [""]

    async def judge(self, states: Sequence[_State]) -> None:
        """Value or vote on the states; one with the same steps as an earlier one is worth 0."""
        first = {state.steps: state for state in reversed(states)}
        different = [state for state in states if first[state.steps] is state]
        for state in states:
            state.score, state.judged = 0.0, state not in different
        if self.how.evaluate == "value":
            await in_branches(self.think, self.value, different)
        elif different:
            await self.vote(different)
        for state in states:
            state.mark(score=state.score, **({} if state in different else {"duplicate": True}))
        self.judged += states

    async def value(self, state: _State) -> None:
        words: Counter[str] = Counter()
        for reply in await self.opinions(self.filled(self.how.value_prompt, state.steps)):
            words.update(_WORD.findall((reply.strip().lower().splitlines() or [""])[-1])[-1:])
        state.judged = bool(words)
        state.score = sum(worth * words[word] for word, worth in VALUES.items())

    async def vote(self, states: Sequence[_State]) -> None:
        choices = "\n\n".join(f"Choice {i}:\n" + "\n".join(s.steps) for i, s in enumerate(states, 1))
        for reply in await self.opinions(self.filled(self.how.vote_prompt, (), choices=choices)):
            numbers = _CHOICE.findall(reply)
            if numbers and 1 <= int(numbers[-1]) <= len(states):
                states[int(numbers[-1]) - 1].score += 1
                for state in states:
                    state.judged = True

    async def opinions(self, prompt: str) -> list[str]:
        return await self.stepper.opinions(prompt, n=self.how.n_evaluate, temperature=self.how.temperature)

    async def conclude(self, state: _State) -> str | None:
        """The answer of a state, asked for where it states none."""
        text = "\n".join(state.steps)
        if not state.final:
            try:
                text += await self.stepper.concluded(state.steps, f"\n{CONCLUDE}", self.how.temperature)
            except CallError:
                if state.branch is None:
                    raise
        return self.problem.extract(text) if text else None

    def offer(self, states: Sequence[_State]) -> None:
        """Propose the best state so far, those that state an answer before all others."""
        if states:
            best = best_first([state for state in states if state.final] or states)[0]
            self.propose(self.problem.extract("\n".join(best.steps)), best)

    def propose(self, value: str | None, state: _State) -> Answer:
        most = self.how.n_evaluate * (VALUES["sure"] if self.how.evaluate == "value" else 1)
        confidence = 0.0 if value is None else state.score / most
        if self.proposed is None or (self.proposed.value, self.proposed.confidence) != (value, confidence):
            self.proposed = self.think.propose(value, confidence=confidence)
        return self.proposed

    def filled(self, template: str, steps: Sequence[str], *, choices: str = "") -> str:
        return fill(
            template,
            problem=self.problem.prompt,
            steps="\n".join(steps) or "(none)",
            last=steps[-1] if steps else "(none)",
            n=str(self.how.n_generate),
            choices=choices,
        )
