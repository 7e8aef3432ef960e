"""Monte Carlo tree search over steps that the model writes and rates."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tttlab.checks import at_least
from tttlab.errors import CallError, OptionError, nearest
from tttlab.protocols import BranchHandle, Think, Verifier
from tttlab.strategies.selection import leader
from tttlab.types import Answer, Message, Problem

STEP = """{problem}

Solve it step by step, with a blank line after each step. The last step says "The answer is" and the answer."""
SCORE = """{problem}

A partial solution:

{steps}

How likely is it that its last step is correct and leads to the right answer? \
The last line says "Score: N", where N is a whole number from 0 (wrong) to 10 (certainly right)."""
NEXT = "Write only the next step."
CONCLUDE = "The answer is"

_FINAL = re.compile(r"answer\s*(?:is|:|=)|####|\\boxed", re.IGNORECASE)
_TOP = 10
_SCORE = re.compile(r"score[^\w-]*(\d{1,3}(?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcts:
    """Monte Carlo tree search with a reward for each step, as in RAP (Hao et al., 2023).

    Each iteration goes down from the root by the upper confidence bound `Q + exploration_weight * sqrt(ln N_parent /
    N)`, where Q of a step not yet visited is its reward and its N counts as 1; draws up to `n_children` different next
    steps at the leaf; rolls out from there to an answer or to `depth` steps, expanding each step on the way and taking
    the child of highest reward (`rollout="greedy"`) or any (`"random"`); and gives back to each step of the path the
    mean of the rewards from it to the end. Q is the greatest of these so far. The steps of a rollout stay in the tree,
    as in the release. A path that ends without stating an answer is asked for it in one call more.

    A step's reward is the `verifier`'s score, from 0 to 1, of the text up to it, or else the model's own from 0 to 10,
    divided by 10; one that cannot be read counts as 0. `output` takes the answer of the path with the highest mean
    reward ("best_path"), of the path along the highest Q ("max_value") or the most visits ("max_visits"), or lets the
    ends vote by the mean reward of their paths ("vote"; by number where all are 0). The confidence is that mean reward,
    or the share of the vote.

    An iteration is not a unit of compute: the first costs up to `depth * (1 + n_children)` steps and scores, later ones
    what they add to the tree, and one that ends where an earlier one ended costs nothing. Compare runs by their
    tokens. At most `iterations * depth * 2 * n_children + iterations` calls. Not RAP's world model: a state is the text
    so far, and there is no reward from log-probabilities.
    """

    iterations: int = 8
    exploration_weight: float = 1.0
    depth: int = 5
    n_children: int = 4
    rollout: Literal["greedy", "random"] = "greedy"
    output: Literal["best_path", "max_value", "max_visits", "vote"] = "best_path"
    verifier: Verifier | None = None
    temperature: float = 0.8
    max_tokens: int = 256
    separator: str = "\n\n"
    step_prompt: str = STEP
    score_prompt: str = SCORE

    def __post_init__(self) -> None:
        at_least(1, iterations=self.iterations, depth=self.depth, n_children=self.n_children)
        at_least(1, max_tokens=self.max_tokens)
        at_least(0, exploration_weight=self.exploration_weight, temperature=self.temperature)
        _one_of("rollout", self.rollout, ("greedy", "random"))
        _one_of("output", self.output, ("best_path", "max_value", "max_visits", "vote"))
        if not self.separator:
            raise OptionError("separator='' ends no step: give the text between two steps, such as a blank line")

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        tree = _Tree(self, problem, think)
        for _ in range(self.iterations):
            await tree.iterate()
            tree.offer()
        return tree.answer or think.propose(None, confidence=0.0)


@dataclass(slots=True, eq=False)
class _Node:
    branch: BranchHandle | None = None
    steps: tuple[str, ...] = ()
    reward: float = 0.0
    visits: int = 0
    value: float | None = None
    children: list[_Node] | None = None
    ended: bool = False
    answer: str | None = None
    path_reward: float = 0.0

    def bound(self, weight: float, parent_visits: int) -> float:
        q = self.reward if self.value is None else self.value
        return q + weight * math.sqrt(math.log(max(parent_visits, 1)) / max(self.visits, 1))


@dataclass(slots=True)
class _Tree:
    how: Mcts
    problem: Problem
    think: Think
    root: _Node = field(default_factory=_Node)
    ends: list[_Node] = field(default_factory=list)
    answer: Answer | None = None

    async def iterate(self) -> None:
        path = [self.root]
        while children := path[-1].children:
            weight, visits = self.how.exploration_weight, path[-1].visits
            path.append(max(children, key=lambda child: child.bound(weight, visits)))
        while not self.is_end(path[-1]):
            await self.within(self.expand, path[-1])
            if not (children := path[-1].children):
                break
            greedy = self.how.rollout == "greedy"
            path.append(max(children, key=lambda c: c.reward) if greedy else self.think.rng.choice(children))
        await self.end(path)
        self.back_propagate(path)

    def is_end(self, node: _Node) -> bool:
        return node.ended or len(node.steps) >= self.how.depth or _is_final(node.steps)

    async def end(self, path: Sequence[_Node]) -> None:
        """Note what a path answers, the first time that it is reached."""
        node = path[-1]
        if node in self.ends:
            return
        await self.within(self.conclude, node)
        rewards = [each.reward for each in path[1:]]
        node.ended, node.path_reward = True, sum(rewards) / len(rewards) if rewards else 0.0
        self.ends.append(node)

    def back_propagate(self, path: Sequence[_Node]) -> None:
        for index, node in enumerate(path):
            rewards = [each.reward for each in path[max(index, 1) :]]
            mean = sum(rewards) / len(rewards) if rewards else 0.0
            node.visits += 1
            node.value = mean if node.value is None else max(node.value, mean)
            if node.branch is not None:
                node.branch.mark(visits=node.visits, value=node.value)

    async def expand(self, node: _Node) -> None:
        try:
            steps = await self.next_steps(node.steps)
        except CallError as error:
            if node.branch is None:
                raise
            node.branch.mark(state="failed", reason=str(error))
            node.children = []
            return
        children: list[_Node] = []
        for step in steps:
            self.add(node, step, children)
        node.children = children
        if node.branch is not None:
            node.branch.mark(state="expanded")
        scored = [child for child in children if not child.ended]
        await self.think.map(self.rate, scored, branches=_branches(scored))

    def add(self, node: _Node, step: str, children: list[_Node]) -> None:
        """A child, in a branch of its own. An empty step ends its path; a step that is there already adds none."""
        with self.think.branch(node.branch, step=step) as branch:
            steps = (*node.steps, step) if step else node.steps
            if any(child.steps == steps for child in children):
                branch.mark(state="pruned", duplicate=True)
            else:
                children.append(_Node(branch, steps, node.reward if not step else 0.0, ended=not step))

    async def rate(self, node: _Node) -> None:
        node.reward = await self.score(self.how.separator.join(node.steps))
        if node.branch is not None:
            node.branch.mark(score=node.reward)

    async def score(self, text: str) -> float:
        if self.how.verifier is not None:
            verdict = await self.think.verify(self.how.verifier, self.problem, text)
            return verdict.score if verdict.score is not None and math.isfinite(verdict.score) else 0.0
        prompt = _fill(self.how.score_prompt, problem=self.problem.prompt, steps=text)
        try:
            [reply] = await self.think.complete(
                prompt, role="evaluator", temperature=0.0, max_tokens=self.how.max_tokens
            )
        except CallError:
            return 0.0
        found = _SCORE.findall(reply.text)
        return float(found[-1]) / _TOP if found and float(found[-1]) <= _TOP else 0.0

    async def next_steps(self, steps: Sequence[str]) -> list[str]:
        how = self.how
        replies = await self.think.complete(
            self.go_on(steps, how.separator, NEXT),
            n=how.n_children,
            temperature=how.temperature,
            max_tokens=how.max_tokens,
            stop=(how.separator,),
        )
        return [reply.text.strip().split(how.separator)[0].strip() for reply in replies]

    async def conclude(self, node: _Node) -> None:
        text = self.how.separator.join(node.steps)
        if not _is_final(node.steps):
            prompt = self.go_on(node.steps, f"{self.how.separator}{CONCLUDE}", f"{CONCLUDE} (answer only)")
            try:
                [reply] = await self.think.complete(prompt, temperature=0.0, max_tokens=self.how.max_tokens)
            except CallError:
                if node.branch is None:
                    raise
                return
            text = f"{text}\n{CONCLUDE} {reply.text.strip()}" if reply.text.strip() else text
        node.answer = self.problem.extract(text) if text else None

    def go_on(self, steps: Sequence[str], start: str, request: str) -> list[Message]:
        """A conversation in which the model writes on after the steps; `start` opens what it writes."""
        question = Message("user", _fill(self.how.step_prompt, problem=self.problem.prompt))
        text = self.how.separator.join(steps)
        if not text:
            return [question]
        if self.think.can.prefix:
            return [question, Message("assistant", text + start)]
        return [question, Message("assistant", text), Message("user", request)]

    async def within(self, function: Callable[[_Node], Any], node: _Node) -> None:
        """Run a function in a node's own branch."""
        if node.branch is None:
            await function(node)
        else:
            await self.think.map(function, [node], branches=[node.branch])

    def offer(self) -> None:
        """Propose what the output rule gives now; the ends that it rests on are selected, the others pruned."""
        flat = all(end.path_reward <= 0 for end in self.ends)
        weights = {id(end): 1.0 if flat else max(end.path_reward, 0.0) for end in self.ends}
        votes: dict[str, float] = {}
        for end in self.ends:
            if end.answer is not None:
                votes[end.answer] = votes.get(end.answer, 0.0) + weights[id(end)]
        if self.how.output == "vote":
            value = leader(votes)
            confidence = votes[value] / sum(weights.values()) if value is not None else 0.0
            selected = [end for end in self.ends if end.answer is not None and end.answer == value]
        else:
            selected = [self.chosen()]
            value = selected[0].answer
            confidence = min(max(selected[0].path_reward, 0.0), 1.0) if value is not None else 0.0
        for end in self.ends:
            if end.branch is not None and (end in selected or end.children is None):  # The others have failed.
                end.branch.mark(state="selected" if end in selected else "pruned")
        last = self.answer
        if last is None or (last.value, last.confidence) != (value, confidence):
            self.answer = self.think.propose(value, confidence=confidence, votes=votes)

    def chosen(self) -> _Node:
        """The end of the path that the output rule follows; ends without an answer only where there are no others."""
        if self.how.output == "best_path":
            return max(self.ends, key=lambda end: (end.answer is not None, end.path_reward))
        node = self.root
        while visited := [child for child in node.children or [] if child.visits]:
            by_value = self.how.output == "max_value"
            node = max(visited, key=lambda child: (child.value or 0.0) if by_value else child.visits)
        return node


def _is_final(steps: Sequence[str]) -> bool:
    return bool(steps) and _FINAL.search(steps[-1]) is not None


def _branches(nodes: Iterable[_Node]) -> list[BranchHandle]:
    return [node.branch for node in nodes if node.branch is not None]


def _fill(template: str, **given: str) -> str:
    return re.sub(rf"\{{({'|'.join(given)})\}}", lambda match: given[match[1]], template)


def _one_of(name: str, value: str, valid: Iterable[str]) -> None:
    if value not in valid:
        raise OptionError(f"{name}={value!r} is not a choice{nearest(value, valid)}")
