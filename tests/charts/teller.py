"""Runs with known tokens and probabilities for tests of the charts, and what their specs hold."""

import math
import time

import tttlab
from tttlab.events import Alternatives, Finish, TokenDelta, UsageUpdate
from tttlab.types import Capabilities, Usage

THINKING = [("7", 0.5), (" times", 0.9), (" 8", 0.25), ("\n\n", 0.125)]
ANSWER = [("The", 0.75), (" answer", 1.0), (" is", 1.0), (" 56", 0.5), (".", 0.0625)]


class Teller:
    """Says thinking and an answer as `(text, probability)` pairs: both lists, as `say(number, request)` gives them."""

    name = "teller"
    can = Capabilities(seed=True, logprobs=True, thinking=True)

    def __init__(self, say=None):
        self.say = say or (lambda number, request: (THINKING, ANSWER))
        self.calls = 0

    async def stream(self, request):
        thinking, answer = self.say(self.calls, request)
        self.calls += 1
        yield UsageUpdate(Usage(prompt_tokens=4))
        for channel, pairs in (("thinking", thinking), ("answer", answer)):
            for text, probability in pairs:
                yield token(text, probability, channel)
        yield Finish("stop", "full" if thinking else "none", self.name, "before_sampling")


def token(text, probability, channel="answer"):
    if probability is None:
        return TokenDelta(text, time.time_ns(), channel=channel)
    rest = max(1e-9, 1 - probability)
    top = Alternatives((1, 2), (text, " other"), (math.log(probability), math.log(rest)))
    return TokenDelta(text, time.time_ns(), 1, math.log(probability), top, channel)


def saying(*answers):
    """A teller whose calls answer with these values, in turn."""
    return Teller(lambda number, request: ([], [("The answer is", 0.5), (f" {answers[number % len(answers)]}", 0.5)]))


def think(strategy="direct", model=None, **options):
    return tttlab.think("What is 7 * 8?", strategy=strategy, model=model or Teller(), **options)


def proposing(*answers, confidence=None):
    """A strategy that proposes these values, with `confidence(index)` if given."""

    async def proposer(problem, think):
        for index, answer in enumerate(answers):
            think.propose(answer, confidence=confidence(index) if confidence else None)

    return proposer


def asked(sql, **parameters):
    """Rows of the test's store."""
    from tttlab.store.queries import query

    connection = tttlab.connect()
    try:
        return query(connection, sql, parameters).to_pylist()
    finally:
        connection.close()


def layers(chart, **encoded):
    """The chart's layers that encode these channels by these fields, each as `(layer, rows)`."""
    spec = chart.to_dict()
    found = []
    for layer in spec["layer"]:
        data = layer.get("data", spec.get("data"))
        encoding = {**spec.get("encoding", {}), **layer["encoding"]}
        if all(encoding.get(channel, {}).get("field") == field for channel, field in encoded.items()):
            found.append((layer, spec["datasets"][data["name"]]))
    return found


def rows(chart, mark, **encoded):
    """The data of the first such layer with this mark."""
    return next(data for layer, data in layers(chart, **encoded) if layer["mark"]["type"] == mark)


def subtitle(chart):
    return "\n".join(chart.to_dict()["title"]["subtitle"])
