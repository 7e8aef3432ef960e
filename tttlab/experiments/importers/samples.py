"""Samples of any program, one or several a record, under whatever names: a mapping says which field is what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tttlab.answers import Extractor, find_extractor, normalise, same_answer
from tttlab.errors import OptionError, nearest
from tttlab.experiments.importers.fields import NoField, as_number, as_right, as_text, as_whole, found_at, paths_in
from tttlab.experiments.importers.logged import LoggedCall, LoggedRun, LoggedUsage, LoggedVerdict
from tttlab.experiments.importers.writing import Imported, source_of, write_runs
from tttlab.experiments.tasks.rows import Rows, rows_of
from tttlab.labels import Label
from tttlab.tracing.attributes import rule_label

FORMAT, VERSION = "samples", 1
_READ_AS: Mapping[str, Any] = {
    "problem": as_text,
    "prompt": as_text,
    "reference": as_text,
    "model": as_text,
    "text": as_text,
    "thinking": as_text,
    "answer": as_text,
    "correct": as_right,
    "finish_reason": as_text,
    "prompt_tokens": as_whole,
    "cached_tokens": as_whole,
    "output_tokens": as_whole,
    "thinking_tokens": as_whole,
    "dollars": as_number,
    "mean_logprob": as_number,
    "temperature": as_number,
    "seed": as_whole,
}
_SPENT = ("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens", "dollars")
_SCORE = "score of "
Sample = dict[str, Any]


def import_samples(
    path: str | Path,
    *,
    fields: Mapping[str, str],
    model: str | None = None,
    strategy: str = "direct",
    extract: str | Extractor = "final_answer",
    scores: Mapping[str, str] | None = None,
    store: str | Path | None = None,
    labels: Mapping[str, Label] | None = None,
) -> Imported:
    """Import independent samples from a JSONL, JSON, CSV, TSV or Parquet file: one run for each problem and model.

        import_samples("out.jsonl", fields={"problem": "task_id", "text": "completion", "correct": "passed"}, model="m")

    `fields` says what stands where: `problem` (its id), and `text` or `answer`, are needed; `prompt`, `reference`,
    `model`, `thinking`, `correct`, `finish_reason`, `prompt_tokens`, `cached_tokens`, `output_tokens`,
    `thinking_tokens`, `dollars`, `mean_logprob`, `temperature` and `seed` where the file has them. A path may have dots
    (`usage.output`); through a list, or where a field is one, each element is a sample. `scores` does the same for
    verifiers, by name. Where there is no `answer` it is extracted from the text; where there is no `correct` it is the
    comparison with the `reference`, and without either it is unknown. What a record leaves out stays NULL.

    Importing a file again adds nothing. Raises `OptionError`, before anything is written, for a field that is not
    there, with the nearest that is, and for a value that cannot be what the mapping says, with its place; and
    `StoreError`.
    """
    mapping = _checked(fields, scores or {}, model)
    source = source_of(path, format=FORMAT, version=VERSION)
    rows = rows_of(source.path)
    _refuse_missing(rows, mapping)
    extractor = find_extractor(extract) if isinstance(extract, str) else extract
    gathered: dict[tuple[str, str], list[Sample]] = {}
    for index, row in enumerate(rows.rows):
        for sample in _samples(row, rows.place(index), mapping):
            named = sample.get("model") or model
            if named is None:
                raise OptionError(f"{rows.place(index)} says no model: give model=... for those that don't")
            gathered.setdefault((sample["problem"], named), []).append(sample)
    runs = [_run(problem, named, found, strategy, extractor) for (problem, named), found in gathered.items()]
    return write_runs(source, runs, store=store, labels=labels, notes=_notes(runs))


def _checked(fields: Mapping[str, str], scores: Mapping[str, str], model: str | None) -> dict[str, str]:
    for name in fields:
        if name not in _READ_AS:
            raise OptionError(f"fields={{{name!r}: ...}} means nothing{nearest(name, _READ_AS)}")
    if "problem" not in fields or not {"text", "answer"} & set(fields):
        raise OptionError(
            "fields must say where the problem's id is, and the text of a sample or its answer: "
            "fields={'problem': 'task_id', 'text': 'completion'}"
        )
    if model is None and "model" not in fields:
        raise OptionError("who gave these samples? give model='NAME', or the field that says it: fields={'model': ...}")
    return {**fields, **{_SCORE + name: path for name, path in scores.items()}}


def _refuse_missing(rows: Rows, mapping: Mapping[str, str]) -> None:
    """A field may be missing in some records, but not in all, and the problem's id in none."""
    if not rows.rows:
        raise OptionError(f"{rows.name} has no records")
    for name, path in mapping.items():
        missing = [index for index, row in enumerate(rows.rows) if not _has(row, path)]
        if len(missing) == len(rows.rows) or (missing and name == "problem"):
            there = list(dict.fromkeys(paths_in(rows.rows[missing[0]])))
            raise OptionError(f"{rows.place(missing[0])} has no field {path!r} for {name!r}{nearest(path, there)}")


def _has(row: Mapping[str, Any], path: str) -> bool:
    try:
        found_at(row, path)
    except NoField:
        return False
    return True


def _samples(row: Mapping[str, Any], place: str, mapping: Mapping[str, str]) -> list[Sample]:
    """The samples of one record: one, or as many as its lists have elements."""
    said = {name: found_at(row, path) for name, path in mapping.items() if _has(row, path)}
    lengths = {name: len(value) for name, value in said.items() if isinstance(value, list)}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{count} for {name!r}" for name, count in lengths.items())
        raise OptionError(f"{place} has lists of different lengths ({listed}): which belongs to which sample?")
    count = next(iter(lengths.values()), 1)
    samples = []
    for number in range(count):
        where = f"{place}, sample {number + 1}" if lengths else place
        sample: Sample = {"place": place}
        for name, value in said.items():
            one = value[number] if isinstance(value, list) else value
            sample[name] = _READ_AS.get(name, as_number)(one, f"{where}: {mapping[name]!r}")
        if sample["problem"] is None:
            raise OptionError(f"{where} names no problem: {mapping['problem']!r} is empty")
        samples.append(sample)
    return samples


def _run(problem: str, model: str, samples: Sequence[Sample], strategy: str, extractor: Extractor) -> LoggedRun:
    calls = [_call(sample, extractor) for sample in samples]
    return LoggedRun(
        place=samples[0]["place"],
        problem=problem,
        prompt=samples[0].get("prompt"),
        reference=samples[0].get("reference"),
        strategy=strategy,
        parameters={"samples": len(samples)},
        model=model,
        extractor=rule_label(extractor),
        usage=LoggedUsage(
            **{name: _total(getattr(call.usage, name) for call in calls) for name in _SPENT}, calls=len(calls)
        ),
        calls=calls,
        verdicts=[
            LoggedVerdict(verifier=name.removeprefix(_SCORE), candidate=call.text or call.answer or "", score=value)
            for sample, call in zip(samples, calls, strict=True)
            for name, value in sample.items()
            if name.startswith(_SCORE) and value is not None
        ],
    )


def _call(sample: Sample, extractor: Extractor) -> LoggedCall:
    text, said = sample.get("text") or "", sample.get("answer")
    answer = extractor(text) if "answer" not in sample else normalise(said or "")
    correct = sample.get("correct")
    return LoggedCall(
        text=text or said or "",
        thinking=sample.get("thinking"),
        answer=answer,
        raw_answer=None if answer is None else said if "answer" in sample else extractor.find(text),
        correct=same_answer(answer, sample.get("reference")) if correct is None else correct,
        finish_reason=sample.get("finish_reason"),
        usage=LoggedUsage(**{name: sample.get(name) for name in _SPENT}),
        mean_logprob=sample.get("mean_logprob"),
        temperature=sample.get("temperature"),
        seed=sample.get("seed"),
    )


def _notes(runs: Sequence[LoggedRun]) -> list[str]:
    """What makes a vote over these answers meaningless: the file's own word for right, and another notion of answer."""
    both = sum(len({call.correct for call in calls}) > 1 for run in runs for calls in _by_answer(run).values())
    lost = sum(call.answer is None and call.correct is True for run in runs for call in run.calls)
    found = [(both, "answers are right in one sample and wrong in another"), (lost, "right samples have no answer")]
    advice = "map the field 'answer', or choose another extract, such as 'whole_text'"
    return [f"{count:,} {what}: {advice}" for count, what in found if count]


def _by_answer(run: LoggedRun) -> Mapping[str, list[LoggedCall]]:
    found: dict[str, list[LoggedCall]] = {}
    for call in run.calls:
        if call.answer is not None and call.correct is not None:
            found.setdefault(call.answer, []).append(call)
    return found


def _total(amounts: Iterable[Any]) -> Any:
    """Their sum; unknown where any is."""
    listed = list(amounts)
    return None if None in listed else sum(listed)
