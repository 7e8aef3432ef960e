"""What is asked of a model is sent, refused, or noted with the call: of every row of every host, nothing is lost."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tttlab.errors import ParameterError
from tttlab.models.fitting import fitted
from tttlab.models.hosts import hosts
from tttlab.models.hosts.host import Host
from tttlab.models.wire import Named
from tttlab.types import TAKEN, Capabilities, Message, Request, Sampling

ASKED = (Message("system", "be brief"), Message("user", "2+2?"))
OPTIONS: dict[str, Any] = {
    "temperature": 0.37,
    "top_p": 0.83,
    "top_k": 37,
    "min_p": 0.13,
    "stop": ("XYZ",),
    "logprobs": 3,
    "grammar": 'root ::= "4"',
    "thinking_budget": 4321,
    "max_tokens": 3777,
}


def example_of(host: Host, pattern: str) -> str:
    """A name of a model that the row with this pattern is the first to match; empty where each has another."""
    plain = re.sub(r"\[([^\]])[^\]]*\]", r"\1", pattern)
    for filler in ("", "7", "-mini", "-2026", "x"):
        name = plain.replace("*", filler)
        if name and host.row(name).pattern == pattern:
            return name
    return ""


def named_of(host: Host, model: str) -> Named:
    return Named(provider=host.name, model=model, can=host.abilities(model), traits=host.row(model).traits)


KNOWN = [(host, row.pattern, example_of(host, row.pattern)) for host in hosts().values() for row in host.rows]
KNOWN += [(host, "", "zz-unheard-of-1") for host in hosts().values()]
# Of rows of a host that differ in their pattern alone, one is enough.
DIFFERENT = {
    repr((host.name, host.abilities(model), host.row(model).traits)): (host, model) for host, _, model in KNOWN if model
}
MODELS = [pytest.param(named_of(host, model), host, id=f"{host.name}:{model}") for host, model in DIFFERENT.values()]


def test_every_row_is_the_first_to_match_some_name():
    assert [f"{host.name}: {pattern}" for host, pattern, model in KNOWN if not model] == []


def sent(host: Host, named: Named, seed: int | None = None, messages=ASKED, **sampling: Any) -> tuple[Any, list[str]]:
    """The body of a request, and the notes of all that it leaves out."""
    fit = fitted(Request(messages=messages, sampling=Sampling(**sampling), seed=seed), named)
    encoded = host.wire.encode(fit.request, named)
    return encoded.body, [*fit.notes, *encoded.notes]


def leaves(body: object) -> Iterator[object]:
    if isinstance(body, Mapping):
        for value in body.values():
            yield from leaves(value)
    elif isinstance(body, list | tuple):
        for value in body:
            yield from leaves(value)
    else:
        yield body.lower() if isinstance(body, str) else body


def fate(host: Host, named: Named, option: str, value: object, **others: Any) -> str:
    """What becomes of an option: `refused`, `noted`, `sent`, or `lost`."""
    try:
        plain, _ = sent(host, named, **others)
    except ParameterError:
        return "refused"
    try:
        body, notes = sent(host, named, **{**others, option: value})
    except ParameterError:
        return "refused"
    if any(note.startswith((f"{option} ", f"the {option} ")) for note in notes):
        assert body == plain, f"{option} is noted as left out, and yet the request is another"
        return "noted"
    return "sent" if body != plain or value in leaves(body) else "lost"


def efforts_of(named: Named) -> list[dict[str, Any]]:
    return [{}, *({"effort": level} for level in named.can.effort)]


@pytest.mark.parametrize(("named", "host"), MODELS)
def test_no_option_is_lost_at_any_effort(named, host):
    for effort in efforts_of(named):
        can = named.at(effort.get("effort")).can
        for option, value in OPTIONS.items():
            became = fate(host, named, option, value, **effort)
            # The stream is searched for a stop string that is not sent, with a note of its own.
            if not (option == "stop" and "stop" not in can.takes):
                assert became != "lost", f"{option} at {effort or 'no effort'}"
            if option in TAKEN and option != "stop":
                assert (became == "sent") == (option in can.takes), f"{option} at {effort or 'no effort'} was {became}"
            if option == "logprobs":
                assert (became == "sent") == can.logprobs


@pytest.mark.parametrize(("named", "host"), MODELS)
def test_a_seed_and_an_effort_are_sent_or_noted_or_refused(named, host):
    assert fate(host, named, "seed", 90210) == ("sent" if named.can.seed else "noted")
    for level in named.can.effort:
        assert fate(host, named, "effort", level) == "sent"
    bodies = [str(sent(host, named, **effort)[0]) for effort in efforts_of(named)[1:]]
    assert len(set(bodies)) == len(bodies)
    assert fate(host, named, "effort", "utmost") == "refused"


@pytest.mark.parametrize(("named", "host"), MODELS)
def test_a_budget_of_thinking_is_held_to_or_refused(named, host):
    assert fate(host, named, "thinking_budget", 4321) == ("sent" if named.can.thinking_budget else "refused")


@pytest.mark.parametrize(("named", "host"), MODELS)
def test_a_partial_answer_is_sent_or_refused(named, host):
    turns = (*ASKED, Message("assistant", "it is four"))
    if named.can.prefix:
        body, _ = sent(host, named, messages=turns)
        assert any("it is four" in str(leaf) for leaf in leaves(body))
    else:
        with pytest.raises(ParameterError, match="does not go on from a partial answer"):
            sent(host, named, messages=turns)


def test_a_budget_for_a_model_that_is_told_not_to_think_is_refused():
    named = Named(provider="test", model="m1", can=Capabilities(effort=("none", "high"), thinking_budget=True))
    with pytest.raises(ParameterError, match="effort 'none' keeps it from that: nothing was asked"):
        fitted(Request(messages=ASKED, sampling=Sampling(effort="none", thinking_budget=9)), named)
    fit = fitted(Request(messages=ASKED, sampling=Sampling(effort="high", thinking_budget=9)), named)
    assert fit.request.sampling.thinking_budget == 9


def test_what_a_model_does_at_one_level_of_effort_alone_is_kept_there():
    differs = {"none": {"takes": ("temperature",), "logprobs": True}}
    can = Capabilities(effort=("none", "high"), takes=(), thinking=True)
    named = Named(provider="test", model="m1", can=can, traits={"at_effort": differs})

    def fit(effort):
        return fitted(Request(messages=ASKED, sampling=Sampling(temperature=0.3, logprobs=3, effort=effort)), named)

    assert fit("none").notes == ()
    assert (fit("none").request.sampling.temperature, fit("none").request.sampling.logprobs) == (0.3, 3)
    assert fit("high").notes == (
        "temperature 0.3 was not sent: m1 takes none",
        "logprobs 3 was not sent: m1 gives no log-probabilities",
    )
    assert fit("high").request.sampling.logprobs == 0


def test_what_is_not_asked_for_is_not_noted():
    named = Named(provider="test", model="m1", can=Capabilities(takes=("temperature",)))
    assert fitted(Request(messages=ASKED), named).notes == ()
