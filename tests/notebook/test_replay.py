"""Cells that are run again: what is recorded is reused, and the cell says so."""

import pytest

CELL = "%%think -m scripted -s self_consistency -p samples=3 -o run {options}\nWhat is 7 times 8?"


def cell(options=""):
    return CELL.format(options=options)


@pytest.fixture
def fresh_options(kernel):
    yield kernel
    kernel.run("import tttlab; tttlab.configure(replay=None, traces=None, model=None, strategy=None, allow_code=None)")


def test_a_cell_that_is_run_again_asks_no_model_and_says_so(kernel):
    first = kernel.run(cell("--seed 11"))
    name = kernel.value("run.id")
    again = kernel.run(cell("--seed 11"))
    assert "replayed" not in first.plain
    assert "replayed 3 of 3 calls, 0 new tokens" in again.plain
    assert "replayed 3 of 3 calls, 0 new tokens" in again.html
    assert kernel.value("run.id") == name
    lines = [line for line in again.plain.splitlines() if not line.startswith("replayed")]
    assert lines == first.plain.splitlines()
    assert kernel.run(f"%traces SELECT count(*) AS n FROM runs WHERE run_id = '{name}'").plain.split()[2] == "1"


def test_fresh_samples_again(kernel):
    kernel.run(cell())
    name = kernel.value("run.id")
    assert "replayed" not in kernel.run(cell("--fresh")).plain
    assert kernel.value("run.id") != name


def test_only_what_is_recorded_can_be_asked_for(kernel):
    ran = kernel.run("%%think -m scripted --replay only\nA question that nobody asked before")
    assert ran.status == "error"
    assert "no run of this prompt on scripted with seed 0 is recorded" in ran.evalue
    assert len(ran.tracebacks[0].splitlines()) == 1


def test_a_first_cell_sets_what_holds_for_all_that_follow(fresh_options):
    fresh_options.run(cell("--seed 7"))
    said = fresh_options.run("%think_config --replay only -m scripted").streams
    assert "replay      only   (configured)" in said
    assert "model       scripted   (configured)" in said
    again = fresh_options.run("%%think -s self_consistency -p samples=3 --seed 7\nWhat is 7 times 8?")
    assert "replayed 3 of 3 calls" in again.plain


def test_without_options_it_shows_what_holds_and_why(fresh_options):
    said = fresh_options.run("%think_config").streams
    assert "replay      reuse   (notebook)" in said
    assert "strategy    direct   (default)" in said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--replay resue", "resue"),
        ("--allow-code maybe", "allow_code is true or false, not 'maybe'"),
        ("--trcaes here", "there is no option --trcaes; did you mean 'traces'"),
    ],
)
def test_what_cannot_be_set_is_told_in_one_line(fresh_options, line, told):
    ran = fresh_options.run(f"%think_config {line}")
    assert ran.status == "error"
    assert told in ran.evalue
    assert fresh_options.value("__import__('tttlab').options.resolve('allow_code').source") == "default"
