"""Verdicts from a verifier, asked inside a run."""

import tttlab
from tests.speaker import Speaker


def verdicts(verifier, *candidates, model=None, sampled=0, prompt="What is 7 times 8?", **options):
    """The verdicts on these candidates, after `sampled` completions of the prompt."""
    found = []

    async def ask(problem, think):
        if sampled:
            await think.complete(problem.prompt, n=sampled)
        found.extend([await think.verify(verifier, problem, candidate) for candidate in candidates])

    tttlab.think(prompt, strategy=ask, model=model or Speaker(), **options)
    return found


def verdict(verifier, candidate, **options):
    """The verdict on one candidate."""
    [found] = verdicts(verifier, candidate, **options)
    return found
