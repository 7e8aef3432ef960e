"""Samples of any program, under any names, become runs like any other; what cannot be is named before it is written."""

import gzip
import json
import time

import pytest

import tttlab
from tttlab.errors import OptionError
from tttlab.experiments.importers.samples import import_samples
from tttlab.experiments.pooling import pool_of

FLAT = [
    {"task_id": "a", "completion": "so it is 4", "passed": True, "n_out": 5},
    {"task_id": "b", "completion": "I give up", "passed": False, "n_out": 3},
    {"task_id": "a", "completion": "perhaps 5", "passed": False, "n_out": 4},
    {"task_id": "b", "completion": "7", "passed": 1, "n_out": 2},
]
FIELDS = {"problem": "task_id", "text": "completion", "correct": "passed"}


def lines(path, records):
    path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    return path


def asked(sql):
    return tttlab.connect().execute(sql).fetchall()


def test_one_sample_a_line(tmp_path):
    done = import_samples(
        lines(tmp_path / "out.jsonl", FLAT),
        fields={**FIELDS, "output_tokens": "n_out"},
        model="gpt-4",
        extract="last_number",
        labels={"sweep": "mine"},
    )
    assert (done.runs, done.calls) == (2, 4)
    assert asked("SELECT problem_id, model, strategy, calls, output_tokens, imported FROM runs ORDER BY run_id") == [
        ("a", "gpt-4", "direct", 2, 9, "samples"),
        ("b", "gpt-4", "direct", 2, 5, "samples"),
    ]
    assert asked("SELECT text, answer, correct, output_tokens, prompt_tokens FROM calls ORDER BY run_id, ordinal") == [
        ("so it is 4", "4", True, 5, None),
        ("perhaps 5", "5", False, 4, None),
        ("I give up", None, False, 3, None),
        ("7", "7", True, 2, None),
    ]
    pool = pool_of(sweep="mine")
    assert pool.problems == ("a", "b")
    assert pool.correct.tolist() == [[True, False], [False, True]]


def test_a_list_of_samples_in_one_line(tmp_path):
    records = [
        {"id": 7, "samples": ["x", "y"], "ok": [True, False], "usage": {"out": [3, 4]}, "by": "small"},
        {"id": 8, "samples": ["z"], "ok": [False], "usage": {"out": [5]}, "by": "large"},
    ]
    fields = {"problem": "id", "text": "samples", "correct": "ok", "output_tokens": "usage.out", "model": "by"}
    import_samples(lines(tmp_path / "lists.jsonl", records), fields=fields)
    found = (
        "SELECT problem_id, calls.model, text, calls.correct, calls.output_tokens FROM calls JOIN runs USING (run_id)"
    )
    assert asked(f"{found} ORDER BY problem_id, ordinal") == [
        ("7", "small", "x", True, 3),
        ("7", "small", "y", False, 4),
        ("8", "large", "z", False, 5),
    ]


def test_nested_samples_by_dotted_paths(tmp_path):
    choice = [{"message": {"content": "4"}, "reward": 0.9}, {"message": {"content": "5"}, "reward": 0.1}]
    record = {"doc": {"id": "a", "target": "4"}, "choices": choice}
    fields = {"problem": "doc.id", "reference": "doc.target", "text": "choices.message.content"}
    path = lines(tmp_path / "nested.jsonl", [record])
    done = import_samples(path, fields=fields, scores={"reward": "choices.reward"}, model="m")
    assert asked("SELECT answer, correct FROM calls ORDER BY ordinal") == [("4", True), ("5", False)]
    assert asked("SELECT verifier, candidate, score FROM verdicts ORDER BY sequence") == [
        ("reward", "4", 0.9),
        ("reward", "5", 0.1),
    ]
    assert pool_of(done.run_ids).score("reward").tolist() == [[0.9, 0.1]]


def test_an_answer_that_the_file_gives_is_taken_and_not_extracted(tmp_path):
    records = [
        {"id": "a", "text": "the answer is 5", "said": " 4.0 "},
        {"id": "a", "text": "the answer is 5", "said": None},
    ]
    fields = {"problem": "id", "text": "text", "answer": "said"}
    import_samples(lines(tmp_path / "out.jsonl", records), fields={**fields}, model="m")
    assert asked("SELECT answer, raw_answer FROM calls ORDER BY ordinal") == [("4", " 4.0 "), (None, None)]


def test_one_of_a_list_is_taken_by_its_number(tmp_path):
    path = lines(tmp_path / "first.jsonl", [{"id": "a", "tries": [{"text": "1"}, {"text": "2"}]}])
    import_samples(path, fields={"problem": "id", "text": "tries.1.text"}, model="m")
    assert asked("SELECT text, correct FROM calls") == [("2", None)]


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "jsonl.gz"])
def test_other_kinds_of_files_give_the_same(tmp_path, kind):
    import duckdb

    plain = lines(tmp_path / "out.jsonl", FLAT[:3])
    path = tmp_path / f"out.{kind}"
    if kind in ("parquet", "csv"):
        duckdb.sql(f"COPY (FROM read_json('{plain}')) TO '{path}'")
    elif kind == "json":
        path.write_text(json.dumps(FLAT[:3]))
    else:
        path.write_bytes(gzip.compress(plain.read_bytes()))
    import_samples(path, fields={**FIELDS, "output_tokens": "n_out"}, model="m", extract="last_number")
    assert asked("SELECT text, answer, correct, output_tokens FROM calls ORDER BY run_id, ordinal") == [
        ("so it is 4", "4", True, 5),
        ("perhaps 5", "5", False, 4),
        ("I give up", None, False, 3),
    ]


def test_importing_a_file_again_adds_nothing_and_says_so(tmp_path):
    path = lines(tmp_path / "out.jsonl", FLAT)
    first = import_samples(path, fields=FIELDS, model="m")
    again = import_samples(path, fields=FIELDS, model="m")
    assert (again.runs, again.calls, again.already, again.run_ids) == (0, 0, 2, first.run_ids)
    assert asked("SELECT count(*) FROM calls") == [(4,)]
    assert "2 runs of this file were there already" in str(again)


def test_what_a_record_leaves_out_stays_null(tmp_path):
    records = [{"id": "a", "text": "1", "cost": 0.5}, {"id": "a", "text": "2"}, {"id": "b", "text": "3", "cost": 1}]
    fields = {"problem": "id", "text": "text", "dollars": "cost"}
    import_samples(lines(tmp_path / "out.jsonl", records), fields=fields, model="m")
    assert asked("SELECT dollars, correct FROM calls ORDER BY run_id, ordinal") == [
        (0.5, None),
        (None, None),
        (1, None),
    ]
    assert asked("SELECT dollars, started, correct FROM runs ORDER BY run_id") == [(None, None, None), (1, None, None)]


def test_answers_that_cannot_be_voted_on_are_told(tmp_path):
    records = [
        {"id": "a", "text": "def f():\n  return 1", "passed": True},
        {"id": "a", "text": "def g():\n  return 1", "passed": False},
        {"id": "a", "text": "", "passed": True},
    ]
    fields = {"problem": "id", "text": "text", "correct": "passed"}
    path = lines(tmp_path / "code.jsonl", records)
    said = str(import_samples(path, fields=fields, model="m"))
    assert "1 answers are right in one sample and wrong in another" in said
    assert "1 right samples have no answer" in said
    whole = import_samples(path, fields=fields, model="m", extract="whole_text", store=tmp_path / "other")
    assert "in one sample and wrong" not in str(whole)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fields": {**FIELDS, "problem": "taskid"}}, "line 1 of out.jsonl has no field 'taskid' .* 'task_id'"),
        ({"fields": {**FIELDS, "correct": "pased"}}, "no field 'pased' for 'correct'; did you mean 'passed'"),
        ({"fields": {**FIELDS, "right": "passed"}}, r"fields=\{'right': \.\.\.\} means nothing"),
        ({"fields": {"text": "completion"}}, "where the problem's id is"),
        ({"fields": {"problem": "task_id"}}, "text of a sample or its answer"),
        ({"fields": FIELDS, "model": None}, "who gave these samples"),
        ({"fields": {**FIELDS, "output_tokens": "completion"}}, "line 1 .*'completion' is 'so it is 4', and must be a"),
        ({"fields": {**FIELDS, "correct": "n_out"}}, "'n_out' is 5, which is neither right nor wrong"),
        ({"fields": FIELDS, "scores": {"reward": "rewards"}}, "no field 'rewards' for 'score of reward'"),
        ({"fields": FIELDS, "extract": "last_nomber"}, "did you mean 'last_number'"),
    ],
)
def test_what_the_mapping_cannot_mean_is_named_before_anything_is_written(tmp_path, options, said):
    path = lines(tmp_path / "out.jsonl", FLAT)
    with pytest.raises(OptionError, match=said):
        import_samples(path, **{"model": "m", **options})
    assert asked("SELECT count(*) FROM spans") == [(0,)]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"completion": "x", "passed": True}, "line 5 of out.jsonl has no field 'task_id'"),
        ({"task_id": "", "completion": "x", "passed": True}, "line 5 of out.jsonl names no problem"),
        ({"task_id": "c", "completion": ["x", "y"], "passed": [True]}, r"different lengths \(2 for 'text', 1 for 'cor"),
        (
            {"task_id": "c", "completion": ["x", {}], "passed": [1, 0]},
            "line 5 of out.jsonl, sample 2: .* must be a text",
        ),
        ({"task_id": "c", "completion": "x", "passed": 0.5}, "neither right nor wrong"),
    ],
)
def test_a_record_that_says_something_else_is_named_by_its_line(tmp_path, record, said):
    path = lines(tmp_path / "out.jsonl", [*FLAT, record])
    with pytest.raises(OptionError, match=said):
        import_samples(path, fields=FIELDS, model="m")
    assert asked("SELECT count(*) FROM spans") == [(0,)]


def test_files_that_cannot_be_read_are_named(tmp_path):
    path = lines(tmp_path / "out.jsonl", [])
    with pytest.raises(OptionError, match="has no records"):
        import_samples(path, fields=FIELDS, model="m")
    with pytest.raises(OptionError, match=r"did you mean 'out\.jsonl'"):
        import_samples(tmp_path / "outs.jsonl", fields=FIELDS, model="m")
    path.write_text('{"task_id": "a", ')
    with pytest.raises(OptionError, match=r"line 1 of out\.jsonl is no JSON"):
        import_samples(path, fields=FIELDS, model="m")


def test_credentials_in_samples_are_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    record = {"task_id": "a", "completion": "my key is sk-planted-0123456789abcdef", "passed": False}
    import_samples(lines(tmp_path / "out.jsonl", [record]), fields=FIELDS, model="m")
    [(text,)] = asked("SELECT text FROM calls")
    assert "planted" not in text


def test_20_000_samples_take_a_few_seconds(tmp_path):
    records = [
        {"task_id": n % 200, "completion": f"The answer is {n % 7}", "passed": n % 7 == 3} for n in range(20_000)
    ]
    path = lines(tmp_path / "many.jsonl", records)
    begun = time.process_time()
    done = import_samples(path, fields=FIELDS, model="m")
    assert time.process_time() - begun < 15  # About 2 s on an idle machine.
    assert (done.runs, done.calls) == (200, 20_000)
    assert asked("SELECT count(*), sum(correct::INT) FROM calls") == [(20_000, sum(each["passed"] for each in records))]
