"""A PostgreSQL of one's own, from Debian's package, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

STARTING_SECONDS = 60


def programs():
    """The folder of the newest PostgreSQL's programs; None where there is none."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).parent if elsewhere else None


@contextmanager
def running():
    """Gives the folder of its socket; every database name is the user's to make. It is stopped by its id at the end."""
    bin_folder = programs()
    # Not pytest's own folder, which only its user may enter: PostgreSQL doesn't run as root.
    folder = Path(tempfile.mkdtemp(prefix="tttlab-postgres-", dir="/tmp"))
    who = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        data = folder / "data"
        made = [
            bin_folder / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "lake",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **who)
        with (folder / "log").open("wb") as log:
            command = [bin_folder / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **who)
        try:
            _wait_until_ready(bin_folder, folder, server)
            yield folder
        finally:
            server.send_signal(
                signal.SIGQUIT
            )  # Its way to end at once, whoever is connected, and to write nothing more.
            server.wait(timeout=STARTING_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sql(folder, statement, database="postgres"):
    """What a statement gives, as psql writes it."""
    command = [programs() / "psql", "-h", folder, "-U", "lake", "-d", database, "-At", "-c", statement]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _wait_until_ready(bin_folder, folder, server):
    until = time.monotonic() + STARTING_SECONDS
    ask = [bin_folder / "pg_isready", "-q", "-h", folder, "-U", "lake", "-d", "postgres"]
    while subprocess.run(ask, check=False).returncode:
        assert server.poll() is None, (folder / "log").read_text("utf-8")
        assert time.monotonic() < until
        time.sleep(0.05)
