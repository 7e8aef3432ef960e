"""`%%think` in a real kernel."""

import pytest

from tests.notebook.kernel import news_in
from tests.notebook.markup import HOSTILE, text_of


def all_stalled(message):
    """All that the stalling models say has been shown, so that there is nothing to wait for but an interrupt."""
    news = news_in(message)
    return news and any("and" in call["text"]["text"].lower() for call in news["calls"])


def test_the_run_is_the_cells_result(kernel):
    ran = kernel.run("%%think -m quick --reference 56\nWhat is {a} times {b}? \\frac{a}{b}")
    assert ran.status == "ok"
    [result] = ran.of("execute_result")
    assert set(result["data"]) == {"text/plain", "text/html"}
    assert result["data"]["text/plain"].startswith("56   (correct)")
    assert "correct" in text_of(ran.html)
    assert kernel.value("_.problem.prompt") == "What is 7 times 8? \\frac{a}{b}"
    assert kernel.value("type(_).__name__, _.model") == "('Run', 'scripted')"


def test_auto_takes_a_strategy_by_what_is_recorded_and_says_why(kernel):
    kernel.run(
        "import tttlab\n"
        "from tttlab.experiments.tasks.countdown import countdown\n"
        "for each in countdown(10, seed=3):\n"
        "    tttlab.think(each, model='local:countdown', strategy='self_consistency', samples=4, thinking_budget=0)"
    )
    ran = kernel.run(
        '%%think -s auto -m local:countdown --budget "300 tokens" --thinking-budget 0 -o run\n6 10 7 -> 18'
    )
    assert ran.status == "ok", ran.streams
    assert "chosen: " in ran.plain
    assert "10 recorded problems of local:countdown with 4 samples each" in ran.plain
    assert kernel.value("run.strategy != 'auto'") == "True"


def test_with_o_the_run_is_bound_and_shown_and_not_returned(kernel):
    kernel.run("'before'")
    ran = kernel.run("%%think -m quick -s self_consistency -p samples=3 --seed 5 -o run\nWhat is 7 times 8?")
    assert ran.of("execute_result") == []
    assert "votes: 56 (3)" in ran.plain
    assert kernel.value("(run.answer, run.seed, run.usage.calls, _)") == "('56', 5, 3, 'before')"


@pytest.mark.parametrize(
    "given", ['"2000 tokens"', "'2000 tokens'", "2000 tokens", '"2000 tokens, 30 s"', "$0.05", "'$0.05'", "'3 calls'"]
)
def test_a_budget_is_written_as_one_likes(kernel, given):
    kernel.run("import tttlab\npriced = ScriptedModel('The answer is 56.', price=Price(prompt=1, output=1))")
    ran = kernel.run(f"%%think -m priced --budget {given} -o run\nWhat?")
    assert ran.status == "ok", ran.streams
    assert kernel.value("run.budget") == kernel.value(f"tttlab.Budget.parse({given.strip(chr(34) + chr(39))!r})")


def test_a_spent_budget_gives_the_best_answer_so_far(kernel):
    ran = kernel.run("%%think -m one_stalls -s self_consistency -p samples=6 --budget '0.5 s' -o run\nWhat?")
    assert ran.status == "ok"
    assert "The budget of 0.5 s is spent" in ran.plain
    assert kernel.value("run.status") == "budget"


def test_a_strategy_may_be_a_function_or_an_object_of_the_notebook(kernel):
    kernel.run(
        "from tttlab.strategies.self_consistency import SelfConsistency\nvoting = SelfConsistency(samples=2)\n"
        "async def mine(problem, think):\n    await think.complete(problem.prompt)\n    return think.propose('mine')"
    )
    assert kernel.run("%%think -m quick -s mine\nWhat?").plain.startswith("mine")
    assert "2 calls" in kernel.run("%%think -m quick -s voting\nWhat?").plain


@pytest.mark.parametrize(
    ("written", "read"),
    [("56", "56"), ('"it\'s 56"', "it's 56"), (r"\frac{a}{b}", r"\frac{a}{b}"), ("'a # b'", "a # b"), ("5#6", "5#6")],
)
def test_a_value_is_read_as_it_is_written_but_for_its_quotation_marks(kernel, written, read):
    kernel.run(f"%%think -m quick --reference {written} -o run\nWhat?")
    assert kernel.value("run.problem.reference") == read


def test_a_variable_that_is_no_strategy_does_not_hide_one(kernel):
    kernel.run("direct = 'the result of something'")
    assert kernel.run("%%think -m quick -s direct\nWhat?").status == "ok"


REFUSED = [
    ("%%think -m quick --strtegy direct\nx", "did you mean 'strategy'?"),
    ("%%think -m quick -x\nx", "no option -x"),
    ("%%think -m quick direct\nx", "'direct' belongs to no option"),
    ("%%think -m quick -s self_consitency\nx", "'self_consistency'"),
    ("%%think -m quick -s reply_of_mine\nx", "did you mean"),
    ("%%think -m quikc\nx", "'quick'"),
    (
        "%%think -m a\nx",
        "the variable a holds no model: that has a `name` and a method `stream(request)`; it is of type int",
    ),
    ("%%think -m named\nx", "named holds the text 'local:smollm2', and a text is no model"),
    ("%%think -m ScriptedModel\nx", "ScriptedModel is a class: make a model of it"),
    ("%%think -m quick -s a\nx", "the variable a holds no strategy: that is an `async def`"),
    ("%%think -m quick --budget '5 tokns'\nx", "'tokens'"),
    ("%%think -m quick --budget 5\nx", "no unit"),
    ("%%think -m quick --budget '-5 tokens'\nx", "above 0"),
    ("%%think -m quick --budget\nx", "--budget"),
    ("%%think -m quick -s self_consistency -p samples=0\nx", "samples=0"),
    ("%%think -m quick -s self_consistency -p sample=1\nx", "'samples'"),
    ("%%think -m quick -p samples\nx", "name=value"),
    ("%%think -m quick -p seed=1\nx", "--seed 1"),
    ("%%think -m quick -p observer=1\nx", "observer"),
    ("%%think -m quick --seed one\nx", "--seed"),
    ("%%think -m quick --extract last_numbr\nx", "'last_number'"),
    ("%%think -m quick -o 2nd\nx", "'2nd'"),
    ("%%think -m quick -o class\nx", "'class'"),
    ('%%think -m quick --reference "5\nx', "quotation mark"),
    ("%%think -m quick\n  \n \n", "empty"),
    ("%%think -m quick\n", "empty"),
    ("%%think -m quick -s sync\nx", "async def"),
    ("%%think -m quick -s Klass\nx", "Klass is a class"),
    ("%%think -m quick -s mine -p samples=2\nx", "samples"),
    ("%%think -m quick\n{a.nothing}", "no .nothing"),
    ("%traces --ouput x SELECT 1", "'output'"),
    ("%traces -n 0 SELECT 1", "0 rows"),
    ("%traces --as numpy SELECT 1", "pandas"),
    ("%traces SELECT $nothing_of_mine", "no variable nothing_of_mine"),
    ("%traces SELECT ?", "write $name"),
]


@pytest.mark.parametrize(("cell", "said"), REFUSED, ids=[cell for cell, _ in REFUSED])
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_spent(kernel, cell, said):
    kernel.run("class Klass: pass\ndef sync(problem, think): pass\nasync def mine(problem, think): pass")
    kernel.run("named = 'local:smollm2'")
    ran = kernel.run(cell)
    assert (ran.status, ran.ename) == ("error", "UsageError")
    assert ran.streams.startswith("UsageError: ")
    assert ran.streams.count("\n") == 1
    assert said in ran.streams
    assert ran.tracebacks == []
    assert ran.bundles == []
    assert kernel.value("quick.started") == "0"


def test_a_misspelt_variable_is_told_below_the_result(kernel):
    said = "{quesion} was left as written: there is no variable of that name; did you mean {question}?"
    kernel.run("question = 'What is 7 times 8?'")
    for cell in ("%%think -m quick\n{quesion}", "%%think -m quick -o run\n{quesion}", "%%think -m slow\n{quesion}"):
        ran = kernel.run(cell)
        assert said in ran.plain
        assert said in text_of(ran.html)
    assert kernel.run("%%think -m quick\n{quesion};").streams == f"{said}\n"
    assert "left as written" not in kernel.run("%%think -m quick\n{question} \\frac{a}{b} {other}").plain


def test_a_failed_run_is_kept_and_shown_and_said_in_one_line(kernel):
    ran = kernel.run("%%think -m fails -o run\nWhat?")
    assert (ran.status, ran.ename) == ("error", "RunFailed")
    assert ran.tracebacks == ["RunFailed: direct failed: scripted: the script fails here, after 2 tokens"]
    assert "Failed: scripted: the script fails here" in ran.plain
    assert kernel.value("run.status, run.usage.output_tokens") == "('failed', 2)"


def test_a_strategy_of_ones_own_that_raises_is_told_with_its_line(kernel):
    kernel.run("async def mine(problem, think):\n    think.propose('54')\n    return {}['nothing']")
    ran = kernel.run("%%think -m quick -s mine -o run\nWhat?")
    assert ran.tracebacks == ["RunFailed: mine failed: KeyError: 'nothing' (line 3 in mine: return {}['nothing'])"]
    assert kernel.value("run.answer") == "54"


def test_a_model_that_cannot_be_had_is_one_line(kernel):
    ran = kernel.run("%%think -m local:/nowhere/model.gguf\nWhat?")
    assert ran.status == "error"
    said = [*ran.tracebacks, ran.streams.strip()] if ran.streams else ran.tracebacks
    assert len(said) == 1
    assert "\n" not in said[0]
    assert "/nowhere/model.gguf" in said[0]


def test_an_interrupt_stops_the_run_keeps_it_and_raises_without_frames_of_ours(kernel):
    cell = "%%think -m stalls -s self_consistency -p samples=3 -o part\nWhat?"
    ran = kernel.run(cell, when=all_stalled, then=kernel.interrupt)
    assert (ran.status, ran.ename) == ("error", "KeyboardInterrupt")
    assert ran.tracebacks == ["KeyboardInterrupt: the run was stopped, and is kept in part"]
    assert "Stopped: there was no answer until then." in ran.plain
    assert "And" in ran.plain
    assert kernel.value("part.status, part.usage.calls, stalls.in_flight") == "('stopped', 3, 0)"
    stored = kernel.run("%traces SELECT status, calls FROM runs WHERE run_id = $part").plain
    assert "stopped" in stored


def test_an_interrupted_run_has_its_best_answer_so_far(kernel):
    cell = "%%think -m one_stalls -s self_consistency -p samples=6 -o part\nWhat?"

    def answered(message):
        return (
            (news := news_in(message))
            and news["answer"] == "56"
            and not any(call["status"] == "running" and not call["text"]["text"] for call in news["calls"])
        )

    ran = kernel.run(cell, when=answered, then=kernel.interrupt)
    assert ran.plain.startswith("56")
    assert "Stopped: this is the best answer until then." in ran.plain
    assert kernel.value("part.answer, part.status") == "('56', 'stopped')"


def test_an_interrupt_ends_run_all_and_the_kernel_goes_on(kernel):
    kernel.run("%%think -m stalls\nWhat?", when=all_stalled, then=kernel.interrupt)
    assert kernel.run("%%think -m quick\nWhat?").status == "ok"


def test_it_works_under_time(kernel):
    ran = kernel.run("%%time\n%%think -m quick\nWhat?")
    assert ran.plain.startswith("56")
    assert "Wall time" in ran.streams
    assert kernel.value("_.answer") == "56"


def test_it_works_under_capture_which_shows_nothing_and_keeps_the_result(kernel):
    ran = kernel.run("%%capture captured\n%%think -m slow -o run\nWhat?")
    assert (ran.status, ran.bundles, ran.streams) == ("ok", [], "")
    assert ran.of("comm_open") == []
    assert kernel.value("len(captured.outputs), run.status") == "(1, 'ok')"
    again = kernel.run("captured.show()")
    assert "11" in again.plain


@pytest.mark.parametrize("end", [";", "\n;"])
def test_a_semicolon_at_the_end_hides_the_result(kernel, end):
    kernel.run("'before'")
    ran = kernel.run(f"%%think -m slow\nWhat is (7 times 8?{end}")
    assert (ran.status, ran.bundles) == ("ok", [])
    assert kernel.value("_") == "before"
    kernel.run(f"%%think -m quick -o run\nint x = 5{end}")
    assert kernel.value("run.problem.prompt") == "int x = 5" + end.strip("\n") * (end == ";")


def test_a_prompt_need_not_be_python(kernel):
    for prompt in (
        "What is (7 + 8?",
        "It's \"so",
        "```py\nif x:\n```",
        "x = '''",
        "\\frac{1}{2} $x$",
        "%%timeit",
        "!ls",
    ):
        ran = kernel.run(f"%%think -m quick -o run\n{prompt}")
        assert ran.status == "ok", ran.streams
        assert kernel.value("ascii(run.problem.prompt)") == ascii(prompt)


def test_the_help_explains_every_option(kernel):
    [page] = kernel.run("%%think?").payload
    text = page["data"]["text/plain"]
    for option in [
        "--strategy",
        "--parameter",
        "--model",
        "--budget",
        "--seed",
        "--reference",
        "--extract",
        "--output",
        "--quiet",
    ]:
        assert option in text
    assert '"2000 tokens"' in text
    assert "{name}" in text


@pytest.mark.parametrize("channel", ["answer", "thinking"])
def test_hostile_text_is_never_markup(kernel, channel):
    kernel.run(f"hostile = ScriptedModel(Reply(text={HOSTILE!r}, thinking={HOSTILE!r}, seconds_per_token=0.02))")
    ran = kernel.run(f"%%think -m hostile --extract whole_text\n{HOSTILE.replace(chr(27), '')}")
    assert "<script>alert(1)</script>" in text_of(ran.html)
    assert "\x1b" not in ran.plain
    table = kernel.run("%traces SELECT text FROM calls ORDER BY started DESC LIMIT 1")
    assert "<script>alert(1)</script>" in text_of(table.html)
    assert "\x1b" not in table.plain


def test_a_store_that_cannot_be_written_to_is_a_warning_in_the_cell_and_the_run_goes_on(kernel):
    kernel.run("import tttlab, pathlib\npathlib.Path('blocked').write_text('x')\ntttlab.configure(traces='blocked')")
    try:
        ran = kernel.run("%%think -m quick -o run\nWhat?")
        hidden = kernel.run("%%think -m quick\nWhat?;")
    finally:
        kernel.run("tttlab.configure(traces=None)\npathlib.Path('blocked').unlink()")
    assert ran.status == "ok"
    assert "I say so." in ran.plain
    for shown in (ran.plain, ran.html, hidden.streams):
        assert "cannot be written to" in shown
    assert kernel.value("run.answer") == "56"


def test_loading_twice_reloading_and_unloading(kernel):
    assert kernel.run("get_ipython().extension_manager.load_extension('tttlab')").status == "ok"
    assert kernel.run("import tttlab\ntttlab.load_ipython_extension(get_ipython())").status == "ok"
    assert kernel.value("len(get_ipython().Completer.custom_matchers)") == "1"
    assert kernel.run("%reload_ext tttlab").status == "ok"
    assert kernel.value("len(get_ipython().Completer.custom_matchers)") == "1"
    kernel.run("%unload_ext tttlab")
    assert kernel.value("len(get_ipython().Completer.custom_matchers)") == "0"
    assert "not found" in kernel.run("%%think -m quick\nWhat?").streams
    assert "not found" in kernel.run("%traces").streams
    assert kernel.run("%load_ext tttlab").status == "ok"
    assert kernel.run("%%think -m quick\nWhat?").status == "ok"
