"""Training: next-word prediction over the texts of `data`, seeded, with a log and checkpoints to go on from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tttlab.countdown.vocabulary import ID, WORDS
from tttlab.training.countdown.data import CONTEXT, texts
from tttlab.training.countdown.network import Network, Shape

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
KEPT_EVERY, LOGGED_EVERY = 500, 50
"""Steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast. The rate rises, stays, and falls over the last `falling` of all tokens."""

    tokens: int = 60_000_000
    rows: int = 16
    rate: float = 3e-3
    rising: int = 100
    """Steps."""
    falling: float = 0.4
    seed: int = 1

    @property
    def steps(self) -> int:
        """How many."""
        return self.tokens // (self.rows * CONTEXT)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        left = (self.steps - step) / (self.falling * self.steps)
        return self.rate * min(1.0, (step + 1) / self.rising, max(left, 0.003))


def batches(schedule: Schedule, done: int) -> Iterator[Tensor]:
    """Rows of texts one after another, from step `done` on."""
    stream = (ID[word] for text in texts(schedule.seed) for word in text)
    size = schedule.rows * CONTEXT + 1
    for step in range(schedule.steps):
        words = list(islice(stream, size))
        if step >= done:
            yield torch.tensor(words)


def train(folder: Path, schedule: Schedule, shape: Shape | None = None) -> Network:
    """Train, or go on from the folder's checkpoint; the log and the checkpoint are written there."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(schedule.seed)
    network = Network(shape or Shape(words=len(WORDS)))
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.95), weight_decay=0.1, foreach=True)
    done, spent = 0, 0.0
    if (folder / CHECKPOINT).exists():
        kept = torch.load(folder / CHECKPOINT, weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        done, spent = kept["step"], kept["seconds"]
    began = time.monotonic() - spent
    with (folder / LOG).open("a", encoding="utf-8") as log:
        for step, words in enumerate(batches(schedule, done), done):
            loss = _step(network, optimiser, words, schedule, step)
            if step % LOGGED_EVERY == 0 or step == schedule.steps - 1:
                seconds = time.monotonic() - began
                said = {"step": step, "tokens": (step + 1) * schedule.rows * CONTEXT, "loss": loss, "seconds": seconds}
                log.write(json.dumps(said) + "\n")
                log.flush()
            if step % KEPT_EVERY == KEPT_EVERY - 1 or step == schedule.steps - 1:
                _keep(folder, network, optimiser, step + 1, time.monotonic() - began)
    return network


def _step(network: Network, optimiser: torch.optim.Optimizer, words: Tensor, schedule: Schedule, step: int) -> float:
    for group in optimiser.param_groups:
        group["lr"] = schedule.rate_at(step)
    read, said = words[:-1].view(schedule.rows, CONTEXT), words[1:]
    with torch.autocast("cpu", dtype=torch.bfloat16):  # 1.5 times as fast, and as good.
        logits = network(read)
    loss = functional.cross_entropy(logits.flatten(0, 1).float(), said)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def _keep(folder: Path, network: Network, optimiser: torch.optim.Optimizer, step: int, seconds: float) -> None:
    kept = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
        "shape": asdict(network.shape),
    }
    written = folder / f"{CHECKPOINT}.new"
    torch.save(kept, written)
    written.replace(folder / CHECKPOINT)
