"""What is needed of a model is asked before anything is spent."""

from dataclasses import dataclass

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab.errors import OptionError
from tttlab.types import Capabilities


@dataclass(frozen=True)
class Either:
    """Needs one of two abilities, and a third."""

    needs = ("prefix|thinking", "seed")

    async def __call__(self, problem, think):
        return think.propose("said")


def think(**can):
    model = Speaker()
    model.can = Capabilities(**can)
    return tttlab.think("What is 7 times 8?", strategy=Either(), model=model)


@pytest.mark.parametrize("ability", ["prefix", "thinking"])
def test_one_of_two_abilities_is_enough(ability):
    assert think(**{ability: True}, seed=True).answer == "said"


def test_without_either_both_are_named_with_the_model():
    message = (
        "^either needs a model that can go on from a partial answer or think in a channel of its own, "
        "and speaker cannot$"
    )
    with pytest.raises(OptionError, match=message):
        think(seed=True)


def test_the_other_needs_still_hold():
    with pytest.raises(OptionError, match="take a seed, and speaker cannot"):
        think(prefix=True)
