"""`python -m tttlab.training.countdown FOLDER`: trains, converts and evaluates, and goes on where it was stopped."""

from __future__ import annotations

import argparse
from pathlib import Path

from tttlab.countdown.drawing import held_out_puzzles
from tttlab.countdown.puzzle import COUNTS
from tttlab.models.countdown import CountdownModel
from tttlab.training.countdown.conversion import convert
from tttlab.training.countdown.evaluation import BUDGETS, evaluate
from tttlab.training.countdown.train import Schedule, train

HEAD = """\
| numbers | thinking budget | tokens a sample | single sample | one of 4 | one of all | majority of all |
|---|---|---|---|---|---|---|"""


def main() -> None:
    """Read the command line and run the recipe."""
    parser = argparse.ArgumentParser(prog="python -m tttlab.training.countdown", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the log, the checkpoint, the weights and the table go")
    parser.add_argument("--tokens", type=int, default=Schedule().tokens, help="how many to train on")
    parser.add_argument("--puzzles", type=int, default=400, help="how many to evaluate on, of each count of numbers")
    parser.add_argument("--samples", type=int, default=16, help="how many of each puzzle")
    options = parser.parse_args()
    network = train(options.folder, Schedule(tokens=options.tokens))
    weights = options.folder / "countdown.gguf"
    convert(network, weights, context=network.shape.context)
    model, rows = CountdownModel(weights=weights), [HEAD]
    print(HEAD, flush=True)
    for numbers in COUNTS:
        asked = held_out_puzzles(numbers, options.puzzles)
        for budget in BUDGETS:
            rows.append(str(evaluate(model, asked, budget, samples=options.samples)))
            print(rows[-1], flush=True)
    (options.folder / "accuracy.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
