"""Real servers of other projects, each installed into an environment of its own and stopped when its tests are done."""

import os
import socket
import subprocess
import time
import venv
from contextlib import contextmanager

import httpx
import pytest

import tttlab
from tests.speaker import Speaker, answers

INSTALLING = 1200
"""Seconds that an installation may take, of some hundred packages."""
STARTING = 180


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A function that makes an environment with packages, and skips the test where they cannot be had."""

    def install(name, *packages):
        folder = tmp_path_factory.mktemp(name)
        venv.create(folder / "environment", with_pip=True)
        python = folder / "environment" / "bin" / "python"
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=INSTALLING, env=_environment()
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{' '.join(packages)} took longer than {INSTALLING} s to install")
        if done.returncode:
            pytest.skip(f"{' '.join(packages)} cannot be installed: {(done.stderr.splitlines() or ['?'])[-1]}")
        return folder

    return install


def _environment(**more):
    """Without the constraints that hold for tttlab's own environment."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PIP_CONSTRAINT", "PYTHONPATH")}
    return kept | more


@contextmanager
def running(folder, command, ready, **environment):
    """The server while it runs; `ready` is an address that answers with 200 when it has started."""
    log = folder / "server.log"
    with log.open("wb") as said:
        # A session of its own, because a server's workers are to end with it.
        server = subprocess.Popen(
            [folder / "environment" / "bin" / command[0], *command[1:]],
            stdout=said,
            stderr=said,
            cwd=folder,
            env=_environment(**environment),
            start_new_session=True,
        )
    try:
        _wait_for(server, ready, log)
        yield server
    finally:
        os.killpg(server.pid, 15)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def _wait_for(server, ready, log):
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        try:
            if httpx.get(ready, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if server.poll() is not None:
            break
        time.sleep(0.5)
    pytest.fail(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def eventually(read, is_enough, seconds=90):
    """What `read` gives as soon as it is enough: servers store after they have answered."""
    until = time.monotonic() + seconds
    while not is_enough(found := read()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def two_runs():
    """Two runs in the store: one of three calls that votes, and one of a single call."""
    voted = tttlab.think(
        "What is 7 times 8?",
        strategy="self_consistency",
        samples=3,
        model=Speaker(answers("56", "54", "56")),
        reference="56",
    )
    direct = tttlab.think("Name a prime.", model=Speaker("The answer is 7"))
    return voted, direct


def stored_spans():
    """What the store has of them, by span id: the parent's id, the trace's, and the name."""
    sql = "SELECT span_id, parent_span_id, trace_id, name FROM spans"
    return {span: tuple(rest) for span, *rest in tttlab.connect().execute(sql).fetchall()}
