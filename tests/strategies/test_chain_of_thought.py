"""Few-shot chain of thought (Wei et al., 2022), and the zero-shot form (Kojima et al., 2022) beside it."""

import pytest

import tttlab
from tests.speaker import Speaker
from tttlab import Message
from tttlab.errors import OptionError

QUESTION = "What is 7 times 8?"
EXAMPLES = (
    ("What is 2 times 3?", "2 and 2 and 2 make 6. The answer is 6."),
    ("What is 4 times 2?", "4 and 4 make 8. The answer is 8."),
)


def think(model, **parameters):
    return tttlab.think(QUESTION, strategy="chain_of_thought", model=model, **parameters)


def test_examples_come_before_the_question_as_turns_and_one_call_gives_chain_and_answer():
    model = Speaker("7 eights make 56. The answer is 56.")
    run = think(model, examples=EXAMPLES, max_tokens=99)
    [request] = model.requests
    assert request.messages == (
        Message("user", "What is 2 times 3?"),
        Message("assistant", "2 and 2 and 2 make 6. The answer is 6."),
        Message("user", "What is 4 times 2?"),
        Message("assistant", "4 and 4 make 8. The answer is 8."),
        Message("user", QUESTION),
    )
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0.0, 99)
    assert (run.answer, len(run.curve), run.usage.thinking_tokens) == ("56", 1, 0)


def test_a_few_shot_reply_that_says_nothing_is_an_abstention():
    assert think(Speaker(""), examples=EXAMPLES).answer is None


def test_without_examples_it_is_asked_with_triggers_and_declared_to_think():
    model = Speaker("56")
    run = think(model)
    assert [len(request.messages) for request in model.requests] == [1, 2]
    assert model.requests[0].messages[0].text == f"{QUESTION}\n\nLet's think step by step."
    assert (run.answer, run.usage.thinking_tokens) == ("56", 1)


@pytest.mark.parametrize("examples", ["a question", (("alone",),), ("ab",), ((1, 2),)])
def test_examples_that_are_no_pairs_of_texts_are_refused(examples):
    with pytest.raises(OptionError, match="examples are pairs of texts"):
        think(Speaker(), examples=examples)
