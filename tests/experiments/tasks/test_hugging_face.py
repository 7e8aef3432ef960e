"""Data sets of the library `datasets` become problems."""

import json

import pytest

from tttlab.errors import OptionError
from tttlab.experiments.tasks.hugging_face import hugging_face_task

datasets = pytest.importorskip("datasets")
ROWS = [{"question": f"{number} + 1?", "answer": f"So.\n#### {number + 1}"} for number in range(4)]


def test_a_data_set_in_memory_is_read_as_it_was_chosen():
    held = datasets.Dataset.from_list(ROWS).select([2, 0])
    task = hugging_face_task(held, reference_extractor="final_answer")
    assert [(each.prompt, each.reference) for each in task] == [("2 + 1?", "3"), ("0 + 1?", "1")]


def test_a_data_set_is_loaded_by_its_name_and_split(tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    loading = {"data_files": {"test": str(path)}, "cache_dir": str(tmp_path / "cache")}
    task = hugging_face_task("json", split="test[:2]", loading=loading, reference_extractor="final_answer")
    assert (task.name, len(task)) == ("json", 2)
    with pytest.raises(OptionError, match=r"has splits, give one: split=\.\.\.; there are: test"):
        hugging_face_task("json", loading=loading)
    with pytest.raises(OptionError, match="the data set 'json' cannot be loaded"):
        hugging_face_task("json", split="train", loading=loading)


def test_a_split_is_chosen_from_a_dictionary_of_them():
    splits = datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})
    assert len(hugging_face_task(splits, split="train", reference=None)) == 4
    with pytest.raises(OptionError, match=r"and not 'trian'; did you mean 'train'\?"):
        hugging_face_task(splits, split="trian")


def test_rows_that_cannot_be_problems_are_named():
    with pytest.raises(OptionError, match="rows 1 and 2 of the data set have one prompt"):
        hugging_face_task(datasets.Dataset.from_list([{"question": "a", "answer": "b"}] * 2))
