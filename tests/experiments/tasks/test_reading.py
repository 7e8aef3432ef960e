"""Tasks from files, queries and frames: the same problems from each, and bad input named with its row."""

import gzip
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tttlab.answers import Check
from tttlab.errors import OptionError
from tttlab.experiments.tasks.reading import read_task

ROWS = [
    {"question": "What is 7 times 8?", "answer": "56", "number": "one"},
    {"question": 'Say "a, b",\nplease', "answer": "007", "number": "two"},
    {"question": "Größe?", "answer": "1.50", "number": "three"},
]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path, rows):
    frame = pd.DataFrame(rows)
    frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def sources(folder):
    table = pa.Table.from_pylist(ROWS)
    pd.DataFrame(ROWS).to_parquet(folder / "rows.parquet")
    (folder / "rows.json").write_text(json.dumps(ROWS), encoding="utf-8-sig")
    with gzip.open(folder / "rows.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n\n".join(json.dumps(row) for row in ROWS))
    connection = duckdb.connect()
    connection.register("told", table)
    return {
        "jsonl": write_lines(folder / "rows.jsonl", ROWS),
        "jsonl.gz": folder / "rows.jsonl.gz",
        "json": folder / "rows.json",
        "csv": write_csv(folder / "rows.csv", ROWS),
        "tsv": str(write_csv(folder / "rows.tsv", ROWS)),
        "parquet": folder / "rows.parquet",
        "relation": connection.sql("SELECT * FROM told"),
        "executed": connection.cursor().execute("SELECT unnest(?, recursive := true)", [ROWS]),
        "pandas": pd.DataFrame(ROWS),
        "polars": pl.DataFrame(ROWS),
        "lazy": pl.LazyFrame(ROWS),
        "arrow": table,
        "list": ROWS,
    }


def test_every_source_gives_the_same_problems_as_they_were_written(tmp_path):
    for name, source in sources(tmp_path).items():
        task = read_task(source, id="number")
        assert [(each.prompt, each.reference, each.id) for each in task] == [tuple(row.values()) for row in ROWS], name
        assert task.name == ("rows" if isinstance(source, str | Path) else "task"), name


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_without_a_column_of_ids_a_problem_keeps_its_id_wherever_it_stands(tmp_path, name):
    write = write_lines if name.endswith("jsonl") else write_csv
    ids = [each.id for each in read_task(write(tmp_path / name, ROWS))]
    assert ids == [each.id for each in read_task(write(tmp_path / f"other_{name}", ROWS[::-1]))][::-1]
    assert all(each.startswith("sha256:") for each in ids)


def test_a_prompt_is_a_column_or_a_text_with_columns():
    task = read_task(ROWS[:1], prompt="Q{number}: {question} Use {{x}}.", reference="{answer} {number}")
    assert task.problems[0].prompt == "Qone: What is 7 times 8? Use {x}."
    assert task.problems[0].reference == "56 one"


def test_a_reference_is_found_in_a_worked_solution():
    rows = [{"question": "?", "answer": "48 / 2 = 24 clips in May.\n#### 72"}]
    assert read_task(rows, reference_extractor="final_answer").problems[0].reference == "72"


def test_in_a_csv_file_everything_stays_as_it_is_written(tmp_path):
    (tmp_path / "a.csv").write_text("question,answer\na,1.50\nb,0010\nc,true\nd,2026-01-02\n")
    assert [each.reference for each in read_task(tmp_path / "a.csv")] == ["1.50", "0010", "true", "2026-01-02"]
    (tmp_path / "b.csv").write_text("question,answer\n1,1.50\n2,2.00\n")
    assert [(each.prompt, each.reference) for each in read_task(tmp_path / "b.csv")] == [("1", "1.50"), ("2", "2.00")]


def test_numbers_stay_what_they_are_and_what_is_missing_is_missing():
    frame = pd.DataFrame({"question": ["a", "b"], "answer": [1, 2**60]}, dtype=object)
    assert [each.reference for each in read_task(frame)] == ["1", str(2**60)]
    holes = pd.DataFrame({"question": ["a", "b"], "answer": [1.0, None]})
    with pytest.raises(OptionError, match="reference of row 2 of the data frame is empty: give a check"):
        read_task(holes)


def test_a_check_takes_the_place_of_missing_references():
    even = Check("even", 1, lambda answer: int(answer) % 2 == 0)
    task = read_task([{"question": "An even number?"}], check=even)
    assert task.problems[0].correct("4") is True
    assert task.problems[0].correct("3") is False
    by_row = read_task(
        [{"question": "?", "answer": None, "divisor": 3}],
        check=lambda row: Check("divides", 1, lambda answer: int(answer) % row["divisor"] == 0),
    )
    assert [by_row.problems[0].correct(value) for value in ("6", "7", None)] == [True, False, False]


def test_no_references_are_taken_where_none_are_wanted():
    problem = read_task([{"question": "?"}], reference=None).problems[0]
    assert (problem.reference, problem.correct("x")) == (None, None)


@pytest.mark.parametrize(
    ("choices", "answer", "letter"),
    [
        (["one", "two", "three"], 2, "C"),
        (["one", "two", "three"], "B", "B"),
        (["one", "two", "three"], "one", "A"),
        ({"text": ["one", "two"], "label": ["1", "2"]}, "2", "B"),
        (["B", "A"], "A", "B"),
    ],
)
def test_choices_are_asked_with_letters(choices, answer, letter):
    problem = read_task([{"question": "Which?", "options": choices, "answer": answer}], choices="options").problems[0]
    assert "Which?\n\nA) " in problem.prompt
    assert problem.correct(problem.extract(f"It is so.\nANSWER: {letter}")) is True
    assert problem.correct(problem.extract("ANSWER: D")) is False


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([{"qestion": "a", "answer": "b"}], {}, r"no column 'question' for the prompt; did you mean 'qestion'\?"),
        ([{"question": "a", "answer": "b"}], {"id": "nr"}, "no column 'nr' for the id; did you mean 'answer'"),
        ([{"question": "a", "x": 1}], {"prompt": "{question} {y}"}, "no column 'y' for the prompt.*write {{ and }}"),
        ([{"question": "a", "answer": "b"}, {"question": "c"}], {}, "row 2 of the list has no 'answer'"),
        ([{"question": " ", "answer": "b"}], {}, "the prompt of row 1 of the list is empty"),
        ([{"question": "a", "answer": None}], {}, "the reference of row 1 of the list is empty: give a check, or"),
        ([{"question": "a", "answer": "..."}], {}, "'...', holds no answer that could be equalled"),
        ([{"question": "a", "answer": ["b"]}], {}, "is list .'b'., and must be a text"),
        ([{"question": "a", "answer": "b"}] * 2, {}, "rows 1 and 2 of the list have one prompt, 'a': drop one"),
        (
            [{"question": each, "answer": "b", "n": 7} for each in "abc"],
            {"id": "n"},
            "rows 1 and 2 of the list have one id in 'n', '7'",
        ),
        ([], {}, "the list has no rows"),
        (["a"], {}, "row 1 of the list is str 'a'"),
        (7, {}, "int holds no problems"),
        ([{"question": "a", "answer": "b", "o": ["x"]}], {"choices": "o"}, "has 1 choices: from 2 to 10"),
        ([{"question": "a", "answer": "z", "o": ["x", "y"]}], {"choices": "o"}, "'z', which is none of its 2 choices"),
        ([{"question": "a", "answer": "b"}], {"extractor": "final_anser"}, "did you mean 'final_answer'"),
    ],
)
def test_bad_rows_are_named(rows, options, said):
    with pytest.raises(OptionError, match=said):
        read_task(rows, **options)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"question": "x", "answer": "y"}\n\n{"question": \n', "line 3 of a.jsonl is no JSON"),
        ("a.jsonl", "[1]\n", "line 1 of a.jsonl is no JSON object"),
        ("a.jsonl", '{"question": "x", "answer": "y"}\n\n{"question": "z"}\n', "line 3 of a.jsonl has no 'answer'"),
        ("a.json", '{"question": "x"}', "holds one dict"),
        ("a.json", "{", "a.json is no JSON"),
        ("a.csv", 'question,answer\n"x', "a.csv cannot be read"),
        ("a.parquet", "no parquet", "a.parquet cannot be read"),
        ("a.txt", "x", "a.txt is of no kind that holds problems; did you mean"),
        ("a.jsonl", b"\xff\xfe", "a.jsonl cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OptionError, match=said):
        read_task(path)


def test_a_file_that_is_not_there_has_the_nearest_beside_it(tmp_path):
    write_lines(tmp_path / "problems.jsonl", ROWS)
    with pytest.raises(OptionError, match=r"there is no file .*problem.jsonl; did you mean 'problems.jsonl'\?"):
        read_task(tmp_path / "problem.jsonl")


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, unique=True))
def test_any_text_comes_back_from_lines(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("lines") / "any.jsonl"
    write_lines(path, [{"question": text, "id": str(number)} for number, text in enumerate(texts)])
    assert [each.prompt for each in read_task(path, reference=None, id="id")] == texts
