import pytest
from hypothesis import given
from hypothesis import strategies as st

from tttlab.budget import Budget
from tttlab.errors import BudgetExhausted, OptionError
from tttlab.meter import Meter, tighter


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2000 tokens", Budget(tokens=2000)),
        ("2,000 tokens", Budget(tokens=2000)),
        ("2_000tokens", Budget(tokens=2000)),
        ("$0.05", Budget(dollars=0.05)),
        ("0.05 dollars", Budget(dollars=0.05)),
        ("2 min", Budget(seconds=120.0)),
        ("1.5 s", Budget(seconds=1.5)),
        ("8 calls", Budget(calls=8)),
        ("2000 tokens, 30 s", Budget(tokens=2000, seconds=30.0)),
        ("2000 tokens + $1", Budget(tokens=2000, dollars=1.0)),
    ],
)
def test_budgets_are_read_with_their_units(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2000", "no unit"),
        ("5 tokns", "'tokens'"),
        ("-5 tokens", "above 0"),
        ("0 calls", "above 0"),
        ("1.5 calls", "whole"),
        ("", "cannot read"),
        ("tokens", "cannot read"),
        ("5 tokens, 6 tokens", "twice"),
        ("$5 tokens", "two units"),
        ("5 parsecs", "seconds"),
    ],
)
def test_a_budget_that_cannot_be_read_says_why(text, said):
    with pytest.raises(OptionError, match=said) as caught:
        Budget.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [{"tokens": -1}, {"tokens": 1.5}, {"seconds": float("nan")}, {"dollars": float("inf")}])
def test_limits_that_cannot_be_kept_are_refused(bad):
    with pytest.raises(OptionError, match="cannot be kept"):
        Budget(**bad)


@given(st.integers(1, 10**9), st.floats(0.001, 1e6), st.integers(1, 1000))
def test_what_a_budget_says_of_itself_is_read_as_the_same_budget(tokens, seconds, calls):
    said = Budget.parse(str(Budget(tokens=tokens, calls=calls)))
    assert said == Budget(tokens=tokens, calls=calls)
    assert Budget.parse(f"{seconds!r} s").seconds == pytest.approx(seconds)


class Scope:
    cancel_called = False

    def cancel(self):
        self.cancel_called = True


def test_a_charge_goes_to_every_budget_above():
    outer, inner = Scope(), Scope()
    whole = Meter(Budget(tokens=100), outer)
    part = Meter(Budget(tokens=10), inner, whole)
    part.charge(5, 0, 5, 0, None)
    assert not part.stopping
    part.charge(0, 0, 1, 0, None)
    assert (part.exhausted, inner.cancel_called, outer.cancel_called) == ("tokens", True, False)
    assert whole.spent.tokens == 11
    assert whole.remaining().tokens == 89


def test_spending_exactly_the_budget_is_within_it():
    scope = Scope()
    meter = Meter(Budget(tokens=10), scope)
    meter.charge(4, 0, 6, 0, None)
    assert not scope.cancel_called
    assert meter.remaining().tokens == 0


def test_a_call_is_refused_by_any_budget_above_and_then_charged_to_none():
    whole = Meter(Budget(calls=1), Scope())
    part = Meter(Budget(calls=5), Scope(), whole)
    part.start_call()
    with pytest.raises(BudgetExhausted) as refused:
        part.start_call()
    assert refused.value.meter is whole
    assert (whole.spent.calls, part.spent.calls, whole.stopping) == (1, 1, False)


def test_unknown_dollars_stay_unknown():
    meter = Meter(Budget(), Scope())
    meter.charge(1, 0, 1, 0, 0.5)
    meter.charge(1, 0, 1, 0, None)
    assert meter.spent.dollars is None


def test_the_tighter_of_two_budgets_keeps_both():
    assert tighter(Budget(tokens=5), Budget(tokens=3, calls=2)) == Budget(tokens=3, calls=2)
