"""Monte Carlo tree search over steps that the model writes and rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tttlab.checks import at_least
from tttlab.errors import CallError
from tttlab.protocols import Think, Verifier
from tttlab.strategies.selection import leader, tally
from tttlab.strategies.steps import (
    CONCLUDE,
    SCORE,
    STEP,
    Node,
    Stepper,
    ends_a_step,
    expanded,
    fill,
    in_branches,
    one_of,
)
from tttlab.types import Answer, Problem


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
        one_of(("greedy", "random"), rollout=self.rollout)
        one_of(("best_path", "max_value", "max_visits", "vote"), output=self.output)
        ends_a_step(self.separator)

    async def __call__(self, problem: Problem, think: Think) -> Answer:
        question = fill(self.step_prompt, problem=problem.prompt)
        tree = _Tree(self, problem, think, Stepper(self, problem, think, lambda _: question))
        for _ in range(self.iterations):
            path = tree.selected()
            await tree.roll_out(path)
            await tree.end(path)
            tree.back_propagate(path)
            tree.offer()
        return tree.answer or think.propose(None, confidence=0.0)


@dataclass(slots=True, eq=False)
class _Node(Node):
    visits: int = 0
    value: float | None = None
    children: list[_Node] | None = None
    ended: bool = False
    answer: str | None = None
    path_reward: float = 0.0

    def bound(self, weight: float, parent_visits: int) -> float:
        q = self.score if self.value is None else self.value
        return q + weight * math.sqrt(math.log(max(parent_visits, 1)) / max(self.visits, 1))


_Path = list[_Node]
"""The nodes from the root down to one."""


@dataclass(slots=True)
class _Tree:
    how: Mcts
    problem: Problem
    think: Think
    stepper: Stepper
    root: _Node = field(default_factory=_Node)
    ends: list[_Node] = field(default_factory=list)
    answer: Answer | None = None

    def selected(self) -> _Path:
        """The path from the root by the highest bound, to a leaf."""
        path = [self.root]
        while children := path[-1].children:
            weight, visits = self.how.exploration_weight, path[-1].visits
            path.append(max(children, key=lambda child: child.bound(weight, visits)))
        return path

    async def roll_out(self, path: _Path) -> None:
        """Lengthen the path to an end, expanding each node on the way."""
        while not self.is_end(path[-1]):
            await in_branches(self.think, self.expand, path[-1:])
            if not (children := path[-1].children):
                break
            greedy = self.how.rollout == "greedy"
            path.append(max(children, key=lambda child: child.score) if greedy else self.think.rng.choice(children))

    def is_end(self, node: _Node) -> bool:
        return node.ended or len(node.steps) >= self.how.depth or node.final

    async def expand(self, node: _Node) -> None:
        node.children = []
        for step in await expanded(node, self.stepper.next_steps(node.steps, n=self.how.n_children)):
            self.add(node, step, node.children)
        await in_branches(self.think, self.rate, [child for child in node.children if not child.ended])

    def add(self, node: _Node, step: str, children: list[_Node]) -> None:
        """A child, in a branch of its own. An empty step ends its path; a step that is there already adds none."""
        with self.think.branch(node.branch, step=step) as branch:
            steps = (*node.steps, step) if step else node.steps
            if any(child.steps == steps for child in children):
                branch.mark(state="pruned", duplicate=True)
            else:
                children.append(_Node(branch, steps, 0.0 if step else node.score, ended=not step))

    async def rate(self, node: _Node) -> None:
        node.score = await self.stepper.score(node.steps, self.how.verifier, self.how.score_prompt)
        node.mark(score=node.score)

    async def end(self, path: _Path) -> None:
        """Note what a path answers, the first time that it is reached."""
        node = path[-1]
        if node not in self.ends:
            await in_branches(self.think, self.conclude, [node])
            node.ended, node.path_reward = True, _mean_reward(path[1:])
            self.ends.append(node)

    async def conclude(self, node: _Node) -> None:
        text = self.how.separator.join(node.steps)
        if not node.final:
            # Where the model has said nothing, it is asked as if for the first time.
            start = self.how.separator + CONCLUDE if node.steps else ""
            try:
                text += await self.stepper.concluded(node.steps, start, temperature=0.0)
            except CallError:
                if node.branch is None:
                    raise
                return
        node.answer = self.problem.extract(text) if text else None

    def back_propagate(self, path: _Path) -> None:
        """Each node counts the visit, and keeps the greatest of the mean rewards from it to an end."""
        for index, node in enumerate(path):
            mean = _mean_reward(path[max(index, 1) :])
            node.visits += 1
            node.value = mean if node.value is None else max(node.value, mean)
            node.mark(visits=node.visits, value=node.value)

    def offer(self) -> None:
        """Propose what the output rule gives now; the ends that it rests on are selected, the others pruned."""
        votes, total = tally((end.answer, end.path_reward) for end in self.ends)
        if self.how.output == "vote":
            value = leader(votes)
            confidence = votes[value] / total if value is not None else 0.0
            selected = [end for end in self.ends if end.answer is not None and end.answer == value]
        else:
            selected = [self.chosen()]
            value = selected[0].answer
            confidence = min(max(selected[0].path_reward, 0.0), 1.0) if value is not None else 0.0
        for end in self.ends:
            if end in selected or end.children is None:  # The others have failed.
                end.mark(state="selected" if end in selected else "pruned")
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


def _mean_reward(nodes: Sequence[_Node]) -> float:
    return sum(node.score for node in nodes) / len(nodes) if nodes else 0.0
