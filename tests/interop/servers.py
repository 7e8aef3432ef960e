"""Real servers of other projects: each is installed into an environment of its own, started, and stopped again."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

INSTALLING = 1200
"""Seconds that an installation may take, of some hundred packages."""
STARTING = 180
PHOENIX, MLFLOW = "arize-phoenix", "mlflow"
"""Their packages."""
MLFLOW_HEADERS = {"x-mlflow-experiment-id": "0"}
"""Where MLflow is to put the spans: into its default experiment."""


class NotInstalled(Exception):
    """Packages cannot be had here."""


def install(folder: Path, *packages: str) -> Path:
    """An environment in `folder` with these packages; one that is there is used. Raises `NotInstalled`."""
    environment = folder / "environment"
    if not environment.exists():
        venv.create(environment, with_pip=True)
    command = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*command, *packages], check=False, capture_output=True, text=True, timeout=INSTALLING, env=_environment()
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{' '.join(packages)} took longer than {INSTALLING} s to install") from None
    if done.returncode:
        raise NotInstalled(f"{' '.join(packages)} cannot be installed: {(done.stderr.splitlines() or ['?'])[-1]}")
    return environment


def version(environment: Path, package: str) -> str:
    """Which version of a package an environment has."""
    program = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    said = subprocess.run(
        [environment / "bin" / "python", "-c", program], check=True, capture_output=True, text=True, env=_environment()
    )
    return said.stdout.strip()


@contextmanager
def phoenix(environment: Path, folder: Path) -> Iterator[str]:
    """A Phoenix with its SQLite file in `folder/data`; its address."""
    port, other = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    said = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(other),
        "PHOENIX_WORKING_DIR": str(_data(folder)),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with running([environment / "bin" / "phoenix", "serve"], folder, f"{address}/v1/projects", **said):
        yield address


@contextmanager
def mlflow(environment: Path, folder: Path) -> Iterator[str]:
    """An MLflow server with its SQLite file and its artifacts in `folder/data`; its address."""
    port, data = free_port(), _data(folder)
    command = [environment / "bin" / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{data}/mlflow.db", "--default-artifact-root", str(data / "files")]
    address = f"http://127.0.0.1:{port}"
    with running(command, folder, f"{address}/health", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true"):
        yield address


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, ready: str, answer: int = 200, **environment: str
) -> Iterator[None]:
    """A server while it runs; `ready` is an address that gives this answer when it has started.

    Raises `RuntimeError` with the end of its log, which is in `folder`, where it does not start.
    """
    log = folder / "server.log"
    with log.open("ab") as said:
        # A session of its own, because a server's workers are to end with it.
        server = subprocess.Popen(
            command, stdout=said, stderr=said, cwd=folder, env=_environment(**environment), start_new_session=True
        )
    try:
        _wait_for(server, ready, answer, log)
        yield
    finally:
        with suppress(ProcessLookupError):  # It ended by itself.
            os.killpg(server.pid, 15)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _data(folder: Path) -> Path:
    (folder / "data").mkdir(exist_ok=True)
    return folder / "data"


def _environment(**more: str) -> dict[str, str]:
    """Without the constraints that hold for tttlab's own environment."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PIP_CONSTRAINT", "PYTHONPATH")}
    return kept | more


def _wait_for(server: subprocess.Popen[bytes], ready: str, answer: int, log: Path) -> None:
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        try:
            if httpx.get(ready, timeout=5).status_code == answer:
                return
        except httpx.HTTPError:
            pass
        if server.poll() is not None:
            break
        time.sleep(0.5)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
