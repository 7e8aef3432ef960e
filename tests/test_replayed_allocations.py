"""An allocation whose runs go another way than those that they seem to repeat charges and grants everything once."""

from collections import Counter

import pytest

import tttlab
from tests.test_replay import Known


def allocate(budget, **options):
    talker = Known("so the answer is then, after all of it, 7")
    found = tttlab.allocate(
        ["What is 3 + 4?", "What is 5 + 2?"],
        budget=budget,
        model=talker,
        extract="last_number",
        replay="reuse",
        minimum=2,
        maximum=4,
        **options,
    )
    return found, talker


@pytest.mark.parametrize("rule", ["uniform", "posterior"])
def test_what_is_begun_again_with_whole_calls_is_charged_and_granted_once(rule):
    first, _ = allocate("40 tokens", rule=rule, batch=4)
    assert first.exhausted == "tokens"
    larger, talker = allocate("1000 tokens", rule=rule, batch=4)
    calls = [run.usage.calls for run in larger.runs]
    assert larger.exhausted is None
    assert sum(run.replayed for run in larger.runs) + talker.started == sum(calls)
    assert larger.usage == sum((run.usage for run in larger.runs), tttlab.types.Usage())
    granted = Counter(each.run for each in larger.decisions if each.action == "sample")
    assert list(granted.values()) == calls
    assert larger.decisions[-1].left == 1000 - larger.usage.tokens
