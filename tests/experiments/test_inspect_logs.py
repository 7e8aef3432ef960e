"""Logs that inspect_ai itself wrote become runs like any other."""

import json

import pytest

import tttlab
from tttlab.errors import OptionError
from tttlab.experiments.importers.inspect_logs import import_inspect_log
from tttlab.experiments.pooling import pool_of

inspect_ai = pytest.importorskip("inspect_ai")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of the library that writes the logs

EPOCHS = 3
SAID = ["It is 56", "It is 54", "no idea", "6", "It is 6", "5"]


@pytest.fixture(scope="module", params=["eval", "json"])
def log(request, tmp_path_factory):
    """Two problems, three epochs each, by inspect_ai's stand-in for a model."""
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import includes, match

    def output(text):
        said = ModelOutput.from_content("mockllm/model", text)
        said.usage = ModelUsage(input_tokens=10, input_tokens_cache_read=5, output_tokens=len(text), total_tokens=99)
        return said

    samples = [Sample(id=1, input="What is 7 times 8?", target="56"), Sample(id=2, input="And 2 times 3?", target="6")]
    (done,) = inspect_ai.eval(
        inspect_ai.Task(dataset=samples, scorer=[match(numeric=True), includes()], name="products"),
        model=get_model("mockllm/model", custom_outputs=[output(text) for text in SAID]),
        log_dir=str(tmp_path_factory.mktemp("logs")),
        log_format=request.param,
        display="none",
        epochs=EPOCHS,
        max_samples=1,
        max_connections=1,
        temperature=0.5,
    )
    assert done.status == "success"
    return done


def asked(sql):
    return tttlab.connect().execute(sql).fetchall()


def test_its_samples_are_runs_and_its_epochs_calls(log):
    done = import_inspect_log(log.location, labels={"sweep": "mine"})
    assert (done.runs, done.calls) == (2, 2 * EPOCHS)
    assert asked('SELECT problem_id, model, prompt, reference, imported, calls, "check" FROM runs ORDER BY run_id') == [
        ("products:1", "mockllm/model", "What is 7 times 8?", "56", "inspect_ai", 3, "inspect_ai:match@1"),
        ("products:2", "mockllm/model", "And 2 times 3?", "6", "inspect_ai", 3, "inspect_ai:match@1"),
    ]
    rows = asked(
        "SELECT problem_id, text, calls.answer, calls.correct, calls.prompt_tokens, calls.cached_tokens,"
        " calls.output_tokens, temperature, calls.seconds >= 0"
        " FROM calls JOIN runs USING (run_id) ORDER BY run_id, ordinal"
    )
    scores = {(f"products:{sample.id}", sample.output.completion): sample.scores["match"] for sample in log.samples}
    assert len(rows) == 2 * EPOCHS
    for problem, text, answer, correct, prompt, cached, output, temperature, timed in rows:
        assert correct is (scores[problem, text].value == "C")
        assert answer == (scores[problem, text].answer.lower().strip(".") or None)
        assert (prompt, cached, output, temperature, timed) == (15, 5, len(text), 0.5, True)


def test_what_every_scorer_said_is_a_verdict_and_its_samples_are_a_pool(log):
    import_inspect_log(log.location, labels={"sweep": "mine"})
    assert dict(asked("SELECT verifier, count(*) FROM verdicts GROUP BY ALL")) == {"match": 6, "includes": 6}
    pool = pool_of(sweep="mine")
    assert pool.problems == ("products:1", "products:2")
    right = sum(sample.scores["match"].value == "C" for sample in log.samples)
    assert pool.correct.sum() == pool.score("match").sum() == right


def test_another_scorer_may_say_what_is_right(log):
    done = import_inspect_log(log.location, scorer="includes")
    right = sum(sample.scores["includes"].value == "C" for sample in log.samples)
    assert asked("SELECT count_if(correct) FROM calls") == [(right,)]
    assert done.notes == ("right is what includes says, of match, includes",)
    with pytest.raises(OptionError, match=r"has no scorer 'inclused'; did you mean 'includes'\?"):
        import_inspect_log(log.location, scorer="inclused")


def test_a_log_is_imported_once(log):
    import_inspect_log(log.location)
    again = import_inspect_log(log.location)
    assert (again.runs, again.already) == (0, 2)


def test_a_failed_sample_is_a_failed_call(tmp_path):
    from inspect_ai.dataset import Sample
    from inspect_ai.solver import solver

    @solver
    def failing():
        async def solve(state, generate):
            raise ValueError("the solver broke")

        return solve

    (done,) = inspect_ai.eval(
        inspect_ai.Task(dataset=[Sample(id=1, input="a", target="b")], solver=failing(), name="broken"),
        model="mockllm/model",
        log_dir=str(tmp_path),
        display="none",
        fail_on_error=False,
    )
    imported = import_inspect_log(done.location)
    assert "no scorer says which answers are right" in imported.notes
    assert asked("SELECT status, error FROM runs") == [("failed", "ValueError('the solver broke')")]
    assert asked("SELECT status, answer, correct FROM calls") == [("failed", None, None)]


@pytest.mark.parametrize(
    ("name", "content"), [("a.eval", b"PK no zip"), ("a.json", b"{"), ("a.json", b'{"version": 2}')]
)
def test_what_is_no_log_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=f"{name} cannot be read by inspect_ai"):
        import_inspect_log(tmp_path / name)
    assert asked("SELECT count(*) FROM runs") == [(0,)]


def test_a_log_without_samples_says_its_status(log, tmp_path):
    header = json.loads(inspect_ai.log.read_eval_log(log.location, header_only=True).model_dump_json())
    (tmp_path / "header.json").write_text(json.dumps({**header, "status": "started", "samples": None}))
    with pytest.raises(OptionError, match="has no samples: its evaluation's status is 'started'"):
        import_inspect_log(tmp_path / "header.json")
