"""Sample files of the LM Evaluation Harness, as its 0.4.13 writes them, become runs like any other."""

import json

import pytest

import tttlab
from tttlab.errors import OptionError
from tttlab.experiments.importers.lm_evaluation import import_lm_evaluation
from tttlab.experiments.pooling import pool_of

NAME = "samples_gsm8k_2026-11-20T10-11-12.345678.jsonl"


def generated(doc_id, texts, found, filtered, right):
    options = {"until": ["\n\n"], "do_sample": False, "temperature": 0.7, "max_gen_toks": 256}
    return {
        "doc_id": doc_id,
        "doc": {"question": f"Question {doc_id}?", "answer": "#### 72"},
        "target": "#### 72",
        "arguments": {"gen_args_0": {"arg_0": f"Question: Question {doc_id}?\nAnswer:", "arg_1": options}},
        "resps": [texts],
        "filtered_resps": [found],
        "filter": filtered,
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": right,
    }


def chosen(doc_id, target, likelihoods, acc, acc_norm, choices=(" red", " a deep blue")):
    pairs = [[str(value), "False"] for value in likelihoods]
    return {
        "doc_id": doc_id,
        "doc": {"query": "Which?"},
        "target": target,
        "arguments": {f"gen_args_{i}": {"arg_0": "Which?", "arg_1": choice} for i, choice in enumerate(choices)},
        "resps": [[pair] for pair in pairs],
        "filtered_resps": pairs,
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "acc": acc,
        "acc_norm": acc_norm,
    }


@pytest.fixture
def written(tmp_path):
    def write(records, name=NAME, folder="org__small-model"):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / name
        path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
        return path

    return write


def asked(sql):
    return tttlab.connect().execute(sql).fetchall()


def test_what_was_generated_is_judged_by_one_filter(written):
    text = "48 + 24.\n#### 72"
    records = [
        generated(0, [text], "72", "strict-match", 1.0),
        generated(1, ["perhaps 71"], "[invalid]", "strict-match", 0.0),
        generated(0, [text], "72", "flexible-extract", 1.0),
        generated(1, ["perhaps 71"], "71", "flexible-extract", 0.0),
    ]
    done = import_lm_evaluation(written(records), labels={"sweep": "mine"})
    assert done.notes == ("read by the filter strict-match; filter=... takes flexible-extract",)
    found = 'SELECT problem_id, model, answer, correct, "check", imported, tokens FROM runs ORDER BY run_id'
    assert asked(found) == [
        ("gsm8k:0", "org/small-model", "72", True, "lm_evaluation:exact_match@1", "lm_evaluation", None),
        ("gsm8k:1", "org/small-model", "[invalid]", False, "lm_evaluation:exact_match@1", "lm_evaluation", None),
    ]
    assert asked("SELECT text, answer, correct, temperature, max_tokens FROM calls ORDER BY run_id") == [
        (text, "72", True, 0.7, 256),
        ("perhaps 71", "[invalid]", False, 0.7, 256),
    ]
    assert pool_of(sweep="mine").correct.tolist() == [[True], [False]]
    import_lm_evaluation(written(records), filter="flexible-extract", model="mine")


def test_repeated_documents_give_all_their_samples(written):
    import_lm_evaluation(written([generated(0, ["72", "71", "72"], "72", "maj@3", 1.0)]))
    assert asked("SELECT calls, answer, correct FROM runs") == [(3, "72", True)]
    assert asked("SELECT text, answer, correct FROM calls ORDER BY ordinal") == [
        (text, None, None) for text in ("72", "71", "72")
    ]


def test_of_a_multiple_choice_the_likeliest_is_the_answer(written):
    records = [chosen(0, "0", [-2.0, -6.0], 1.0, 0.0), chosen(1, "a deep blue", [-3.0, -1.0], 1.0, 1.0)]
    path = written(records, "samples_colours_2026-11-20T10-11-12.345678.jsonl")
    import_lm_evaluation(path)
    found = "SELECT problem_id, answer, reference, correct FROM runs ORDER BY run_id"
    assert asked(found) == [
        ("colours:0", "red", "red", True),
        ("colours:1", "a deep blue", "a deep blue", True),
    ]
    assert asked("SELECT candidate, score FROM verdicts ORDER BY run_id, sequence") == [
        ("red", -2.0),
        ("a deep blue", -6.0),
        ("red", -3.0),
        ("a deep blue", -1.0),
    ]


def test_by_its_length_another_choice_may_be_the_likeliest(written):
    import_lm_evaluation(written([chosen(0, "0", [-2.0, -6.0], 1.0, 0.0)]), metric="acc_norm")
    assert asked("SELECT answer, correct FROM runs") == [("a deep blue", False)]


def test_files_of_earlier_versions_are_read(written):
    old = chosen(0, 1, [], 1.0, 1.0)
    old |= {"arguments": [["Which?", " red"], ["Which?", " a deep blue"]], "resps": [[[-3.0, False]], [[-1.0, True]]]}
    del old["filter"], old["metrics"]
    import_lm_evaluation(written([old], "colours.jsonl"))
    assert asked("SELECT problem_id, answer, correct FROM runs") == [("colours:0", "a deep blue", True)]


@pytest.mark.parametrize(
    ("records", "options", "said"),
    [
        ([], {}, "has no samples"),
        ([{"doc_id": 1}], {}, "line 1 of .* has no 'target': it is no sample of the LM Evaluation Harness"),
        ([generated(0, ["a"], "a", "none", 1.0)], {"filter": "nune"}, r"has no filter 'nune'; did you mean 'none'\?"),
        ([generated(0, ["a"], "a", "none", 1.0)], {"metric": "acc"}, "has no metric 'acc'; there are: exact_match"),
        ([generated(0, ["a"], "a", "none", "high")], {}, "line 1 of .*: 'exact_match' is 'high', and must be a number"),
        ([generated(0, [], "a", "none", 1.0)], {}, "line 1 of .* is of no kind that is known here"),
        ([{**generated(0, ["a"], "a", "none", 1), "metrics": ["bleu"]}], {}, "which metric .*; there are: bleu"),
    ],
)
def test_what_is_no_such_file_is_named(written, records, options, said):
    with pytest.raises(OptionError, match=said):
        import_lm_evaluation(written(records), **options)
    assert asked("SELECT count(*) FROM runs") == [(0,)]
