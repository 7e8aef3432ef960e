"""Completion of the magics' lines, asked of a real kernel."""

import pytest

from tttlab.strategies import strategy_names


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%%think --str", ["--strategy"]),
        ("%%think -s self", ["self_consistency", "self_refine"]),
        ("%%think -s ", sorted(["mine", *strategy_names()])),
        ("%%think --strategy=chain", ["chain_of_thought", "chain_of_verification"]),
        ("%%think -s self_consistency -p sam", ["samples="]),
        (
            "%%think --strategy self_consistency -p samples=3 -p ",
            ["max_tokens=", "samples=", "stop_early=", "temperature="],
        ),
        ("%%think -p te", ["temperature="]),
        ("%%think -m qui", ["quick"]),
        ("%%think -m smol", ["smollm2"]),
        ("%%think --extract bo", ["boxed"]),
        ("%%think -m quick -o earl", ["earlier"]),
        ("%traces --as p", ["pandas", "polars"]),
        ("%%traces --o", ["--output"]),
        ("x = 1\n%traces --ro", ["--rows"]),
    ],
)
def test_what_can_stand_there_is_offered(kernel, line, expected):
    kernel.run("async def mine(problem, think): pass\nearlier = 3")
    offered = kernel.complete(line)
    assert [name for name in expected if name not in offered] == []
    if not line.endswith(" "):
        assert sorted(offered) == sorted(expected)


def test_all_options_are_offered_and_each_once(kernel):
    offered = kernel.complete("%%think --")
    assert sorted(offered) == sorted(
        [
            "--budget",
            "--effort",
            "--extract",
            "--fresh",
            "--model",
            "--output",
            "--pace",
            "--parameter",
            "--quiet",
            "--reference",
            "--replay",
            "--seed",
            "--strategy",
            "--thinking-budget",
        ]
    )


@pytest.mark.parametrize(
    "text", ["%%think -s direct\n--str", "x = 1\n%%think --str", "%%think\nself_con", "self_consist"]
)
def test_prompts_and_code_are_left_alone(kernel, text):
    assert not {"--strategy", "self_consistency"} & set(kernel.complete(text))


def test_looking_for_models_runs_no_code_of_the_users(kernel):
    kernel.run(
        "class Trap:\n    touched = []\n    def __getattr__(self, name):\n        Trap.touched.append(name)\n"
        "        raise AttributeError(name)\ntrap = Trap()"
    )
    kernel.complete("%%think -m ")
    kernel.complete("%%think -s ")
    assert kernel.value("Trap.touched") == "[]"
