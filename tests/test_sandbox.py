"""Programs that nobody has read: hostile ones, broken ones, and those that only compute."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import anyio
import pytest

import tttlab
from tests.speaker import Speaker
from tttlab import sandbox
from tttlab.errors import OptionError, RunFailed, SandboxError
from tttlab.sandbox import run_program
from tttlab.sandbox.isolation import Isolation, candidates
from tttlab.types import CodeLimits, Verdict

JAILS = [candidate for candidate in candidates() if candidate.jailed and candidate.seccomp]
LOCKED = [*JAILS, *(candidate for candidate in candidates() if not candidate.jailed and candidate.seccomp)]
SHORT = CodeLimits(seconds=2.0)


def run(code, **options):
    return anyio.run(lambda: run_program(textwrap.dedent(code), **options))


def works(isolation):
    return run("print(1)", isolation=isolation).outcome == "ok"


def usable(isolations):
    return [
        pytest.param(each, id=str(each), marks=() if works(each) else pytest.mark.skip(f"no {each} on this system"))
        for each in isolations
    ]


@pytest.fixture(params=usable(JAILS) or [pytest.param(None, marks=pytest.mark.skip("no jail on this system"))])
def jail(request):
    return request.param


@pytest.fixture(params=usable(LOCKED) or [pytest.param(None, marks=pytest.mark.skip("no seccomp on this system"))])
def locked(request):
    return request.param


def until(holds):
    """What `holds` gives as soon as it is true, within 20 seconds."""
    deadline = time.monotonic() + 20
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


_before = set()


@pytest.fixture(autouse=True)
def others():
    """Other tests' processes, a kernel say, are not this test's."""
    _before.clear()
    _before.update(row[0] for row in mine())


def mine():
    """The processes below this one, by their parents, that began with the test."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    below, grown = {str(os.getpid())}, True
    while grown:
        grown = False
        for pid, parent, _ in rows:
            if parent in below and pid not in below:
                below.add(pid)
                grown = True
    begun = below - _before - {str(os.getpid())}
    return [row for row in rows if row[0] in begun and not row[2].startswith("ps ")]


def test_a_program_gives_what_it_prints_and_says_what_kept_it_in():
    ran = run("import sys\nprint(6 * 7, sys.stdin.read())\nprint('but', file=sys.stderr)", stdin="of it\n")
    assert (ran.outcome, ran.exit_code, ran.stdout, ran.stderr) == ("ok", 0, "42 of it\n\n", "but\n")
    assert ran.isolation.split(",")[0] in {"bubblewrap", "namespaces", "limits"}
    assert 0 < ran.seconds < 60


def test_each_isolation_says_its_own_name(locked):
    assert run("print(1)", isolation=locked).isolation == str(locked)


@pytest.mark.parametrize(
    ("code", "outcome", "said"),
    [
        ("1 / 0", "error", "ZeroDivisionError"),
        ("the answer is 56", "error", "SyntaxError"),
        ("'\ud83d'", "error", "SyntaxError"),
        ("import sys; sys.exit(3)", "error", ""),
        ("import os; os._exit(7)", "error", ""),
        ("def f(): f()\nf()", "error", "RecursionError"),
        ("import ctypes; ctypes.string_at(0)", "killed", ""),
        ("import os; os.abort()", "killed", ""),
        ("raise SystemExit", "ok", ""),
        ("", "ok", ""),
    ],
)
def test_a_program_that_fails_says_how(code, outcome, said):
    ran = run(code)
    assert ran.outcome == outcome
    assert said in ran.stderr
    assert (ran.exit_code == 0) == (outcome == "ok")


def test_two_runs_of_a_program_hash_alike():
    code = "print(list({'one', 'two', 'three', 'four'}), hash('five'))"
    assert run(code).stdout == run(code).stdout


@pytest.mark.parametrize(
    "code", ["while True: pass", "import time; time.sleep(60)", "import sys; sys.stdin.read(); input()"]
)
def test_an_endless_program_is_ended(code, locked):
    ran = run(code, limits=CodeLimits(seconds=1.0), isolation=locked)
    assert ran.outcome == ("error" if "input" in code else "timeout")
    assert ran.seconds < 30


def test_a_program_that_ignores_every_signal_is_ended(locked):
    code = """
        import signal
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True: pass
    """
    assert run(code, limits=CodeLimits(seconds=1.0), isolation=locked).outcome == "timeout"
    assert mine() == []


def test_a_fork_bomb_does_not_go_off(locked):
    code = """
        import os, sys
        made = 0
        for _ in range(50):
            try:
                if os.fork() == 0:
                    while True: pass
                made += 1
            except OSError:
                pass
        import subprocess
        try: subprocess.Popen(["/usr/bin/sleep", "60"]); made += 1
        except OSError: pass
        try: os.posix_spawn("/usr/bin/sleep", ["sleep", "60"], {}); made += 1
        except OSError: pass
        print(made)
    """
    ran = run(code, limits=SHORT, isolation=locked)
    assert (ran.outcome, ran.stdout) == ("ok", "0\n")
    assert mine() == []


def test_threads_are_no_processes(locked):
    code = """
        from threading import Thread
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(4) as pool: print(sum(pool.map(abs, range(-9, 1))))
        import asyncio
        asyncio.run(asyncio.sleep(0))
    """
    ran = run(code, isolation=locked)
    assert (ran.outcome, ran.stdout, ran.stderr) == ("ok", "45\n", "")


@pytest.mark.parametrize("code", ["x = bytearray(10 ** 11)", "x = []\nwhile True: x.append(' ' * 10 ** 7)"])
def test_a_memory_bomb_meets_its_limit(code, locked):
    ran = run(code, limits=CodeLimits(memory=256), isolation=locked)
    assert ran.outcome == "memory"
    assert "MemoryError" in ran.stderr


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_gigabyte_of_output_is_cut(stream, locked):
    code = f"import sys\nfor _ in range(1024): sys.{stream}.write('x' * 2 ** 20)"
    ran = run(code, limits=CodeLimits(output=8), isolation=locked)
    assert ran.outcome == "output"
    assert len(getattr(ran, stream)) == 8 * 1024
    assert ran.seconds < 30


def test_a_large_file_is_refused(locked):
    code = """
        try:
            with open("large", "wb") as file:
                for _ in range(64): file.write(bytes(2 ** 20))
        except OSError as error: print(type(error).__name__)
    """
    assert run(code, limits=CodeLimits(files=4), isolation=locked).stdout == "OSError\n"


def test_many_files_fill_no_more_than_their_room(jail):
    code = """
        import os
        written = 0
        try:
            for number in range(64):
                with open(str(number), "wb") as file: written += file.write(bytes(2 ** 20))
        except OSError: pass
        print(written)
    """
    assert int(run(code, limits=CodeLimits(files=4), isolation=jail).stdout) <= 4 * 2**20


def test_its_own_folder_is_empty_writable_and_gone_afterwards(locked):
    code = """
        import os, pathlib, tempfile
        print(sorted(os.listdir()))
        pathlib.Path("note").write_text("here")
        with tempfile.TemporaryFile() as file: file.write(b"there")
        os.makedirs("a/b"); os.chmod("a", 0)
        print(pathlib.Path("note").read_text())
        print(os.getcwd())
    """
    ran = run(code, isolation=locked)
    listed, note, folder = ran.stdout.splitlines()
    assert (listed, note) == ("['program.py']", "here")
    assert not Path(folder).exists()


def test_nothing_can_be_written_outside_its_folder(jail, tmp_path):
    target = tmp_path / "written"
    places = [str(target), "/usr/written", "/written", "/etc/written", "/tmp/written", f"{sys.prefix}/written"]
    code = f"""
        import os
        for place in {places!r}:
            try:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "w") as file: file.write("x")
                print("wrote", place)
            except OSError: pass
        for place in ("/usr/bin/env", {sys.executable!r}):
            try: os.chmod(place, 0o777); print("changed", place)
            except OSError: pass
    """
    ran = run(code, isolation=jail)
    assert (ran.outcome, ran.stdout) == ("ok", "")
    assert not target.exists()


def test_the_users_files_and_environment_cannot_be_read(jail, tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("a key")
    monkeypatch.setenv("OPENAI_API_KEY", "another key")
    places = [
        "/etc/passwd",
        "/etc/shadow",
        str(secret),
        str(Path.home() / ".bashrc"),
        "/proc/1/environ",
        "/proc/self/mem",
    ]
    code = f"""
        import os
        for place in {places!r}:
            try: print(place, open(place).read())
            except OSError: pass
        print([name for name in os.environ if "KEY" in name or "TTTLAB" in name])
        print(os.path.exists({str(tmp_path)!r}), os.path.exists("/proc/self"))
    """
    assert run(code, isolation=jail).stdout == "[]\nFalse False\n"


def test_its_environment_is_its_own(locked, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    assert "OPENAI_API_KEY" not in run("import os; print(dict(os.environ))", isolation=locked).stdout


def test_no_socket_can_be_opened_not_even_to_this_machine(locked):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        code = f"""
            import socket, urllib.request
            for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
                                 (socket.AF_INET6, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_STREAM)):
                try: socket.socket(family, kind); print("opened", family)
                except OSError: pass
            try: urllib.request.urlopen("http://127.0.0.1:{server.getsockname()[1]}", timeout=1); print("connected")
            except OSError: print("refused")
        """
        assert run(code, isolation=locked).stdout == "refused\n"
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_jail_without_a_filter_still_has_no_network():
    for each in candidates():
        if each.jailed and not each.seccomp and works(each):
            with socket.create_server(("127.0.0.1", 0)) as server:
                server.settimeout(0.2)
                code = f"import socket\nsocket.create_connection({server.getsockname()!r}, timeout=1)"
                assert run(code, isolation=each).outcome == "error"
                with pytest.raises(TimeoutError):
                    server.accept()


def test_it_cannot_harm_the_process_that_started_it(locked):
    code = f"""
        import os, resource, signal
        for pid in (os.getppid(), {os.getpid()}, 1, 0, -1):
            for number in (signal.SIGTERM, signal.SIGKILL):
                try: os.kill(pid, number); print("killed", pid)
                except OSError: pass
        try: os.killpg(0, signal.SIGKILL); print("killed")
        except OSError: pass
        for pid in (os.getppid(), {os.getpid()}):
            try: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)); print("limited", pid)
            except OSError: pass
        resource.getrlimit(resource.RLIMIT_CPU)
        print("alive")
    """
    ran = run(code, isolation=locked)
    assert (ran.outcome, ran.stdout) == ("ok", "alive\n")


@pytest.mark.parametrize(
    "call", ["unshare(0x10000000)", "ptrace(16, 1, 0, 0)", "mount(b'none', b'/box', b'tmpfs', 0, None)"]
)
def test_the_filter_refuses_what_leads_out(call, locked):
    code = f"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.{call}, ctypes.get_errno())"
    assert run(code, isolation=locked).stdout == "-1 1\n"


def test_a_lock_that_cannot_be_shut_runs_nothing(monkeypatch):
    broken = Isolation("namespaces", seccomp=True)
    monkeypatch.setattr(sandbox, "readable", lambda: (["/no/such/place"], {}))
    ran = run("print('ran')", isolation=broken)
    assert (ran.outcome, ran.stdout) == ("error", "")
    assert ran.stderr.startswith("sandbox: ")


def test_the_best_isolation_that_works_is_taken(monkeypatch):
    asked = [Isolation("bubblewrap", seccomp=True), Isolation("limits", seccomp=False)]
    monkeypatch.setattr(sandbox, "_found", None)
    monkeypatch.setattr(sandbox, "candidates", lambda: asked)
    monkeypatch.setattr("tttlab.sandbox.isolation._bubblewrap", lambda space: ["false"])
    assert run("print(1)").isolation == "limits"
    monkeypatch.setattr(sandbox, "_found", None)
    asked.pop()
    with pytest.raises(SandboxError, match="no program can be run here"):
        run("print(1)")


@pytest.mark.anyio
async def test_the_event_loop_goes_on_meanwhile():
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        await run_program("while True: pass", limits=CodeLimits(seconds=1.0))
        tasks.cancel_scope.cancel()
    assert ticks > 5


@pytest.mark.anyio
async def test_a_cancelled_program_is_killed(locked):
    with anyio.move_on_after(0.5) as scope:
        await run_program("import time\ntime.sleep(60)", limits=CodeLimits(seconds=60), isolation=locked)
    assert scope.cancelled_caught
    assert mine() == []


def test_a_program_does_not_outlive_a_killed_parent(locked, tmp_path):
    parent = f"""
import anyio
from tttlab.sandbox import run_program
from tttlab.sandbox.isolation import Isolation
from tttlab.types import CodeLimits
isolation = Isolation({locked.kind!r}, seccomp=True)
anyio.run(lambda: run_program("import time; time.sleep(120)", limits=CodeLimits(seconds=120), isolation=isolation))
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(tttlab.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", parent], env=environment)
    begun = until(lambda: [row for row in mine() if row[2].endswith("program.py")] and mine())
    process.send_signal(signal.SIGKILL)
    process.wait()
    pids = [pid for pid, _, _ in begun]
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def asking(code, **options):
    async def strategy(problem, think):
        ran = await think.run_code(code, **options)
        think.propose(ran.stdout.strip() or ran.outcome)

    return strategy


def test_nothing_runs_without_leave():
    with pytest.raises(RunFailed, match="allow_code=True") as failed:
        tttlab.think("What is 7 times 8?", strategy=asking("print(56)"), model=Speaker())
    assert isinstance(failed.value.__cause__, OptionError)
    assert "\n" not in str(failed.value.__cause__)


def test_leave_is_given_in_a_call_for_the_process_or_in_the_environment(monkeypatch):
    def answer(**options):
        return tttlab.think("What is 7 times 8?", strategy=asking("print(56)"), model=Speaker(), **options).answer

    assert answer(allow_code=True) == "56"
    assert answer(allow_code="true") == "56"
    tttlab.configure(allow_code=True)
    assert answer() == "56"
    with pytest.raises(RunFailed, match="allow"):
        answer(allow_code=False)
    tttlab.configure(allow_code=None)
    monkeypatch.setenv("TTTLAB_ALLOW_CODE", "1")
    assert answer() == "56"
    monkeypatch.setenv("TTTLAB_ALLOW_CODE", "perhaps")
    with pytest.raises(OptionError, match="'perhaps'"):
        answer()


def test_leave_is_given_in_the_project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.tttlab]\nallow_code = true\n")
    monkeypatch.chdir(tmp_path)
    run = tttlab.think("What is 7 times 8?", strategy=asking("print(56)"), model=Speaker())
    assert run.answer == "56"


def test_a_class_that_needs_leave_is_refused_before_anything_is_spent():
    class Runs:
        """Runs code."""

        needs = ("code",)

        async def __call__(self, problem, think):
            await think.complete(problem.prompt)

    model = Speaker()
    with pytest.raises(OptionError, match=r"runs runs programs .* allow_code=True"):
        tttlab.think("What is 7 times 8?", strategy=Runs(), model=model)
    assert model.started == 0


def test_a_run_program_is_a_tools_span_with_its_code_end_and_isolation():
    run = tttlab.think("Ask", strategy=asking("print(6)\n1 / 0"), model=Speaker(), allow_code=True)
    row = (
        tttlab.connect()
        .execute(
            "SELECT span.name, parent.operation, span.attributes, (span.end_ns - span.start_ns) / 1e9"
            " FROM whole_spans AS span"
            " JOIN whole_spans AS parent ON parent.span_key = span.parent_key"
            " WHERE span.operation = 'execute_tool' AND span.run_id = ?",
            [run.id],
        )
        .fetchone()
    )
    name, parent, attributes, seconds = row[0], row[1], json.loads(row[2]), row[3]
    assert (name, parent) == ("execute_tool python", "invoke_workflow")
    assert json.loads(attributes["gen_ai.tool.call.arguments"]) == {"code": "print(6)\n1 / 0"}
    assert json.loads(attributes["gen_ai.tool.call.result"])["stdout"] == "6\n"
    assert (attributes["gen_ai.tool.name"], attributes["tttlab.code.outcome"]) == ("python", "error")
    assert attributes["tttlab.code.isolation"]
    assert 0 < attributes["tttlab.code.seconds"] <= seconds <= run.seconds


def test_a_budget_of_seconds_ends_a_program():
    run = tttlab.think("Ask", strategy=asking("while True: pass"), model=Speaker(), allow_code=True, budget="1 s")
    assert (run.status, run.answer) == ("budget", None)
    assert run.seconds < 9
    assert mine() == []


def test_a_verifier_may_run_programs():
    async def runs(problem, candidate, think):
        ran = await think.run_code(candidate)
        return Verdict(score=float(ran.stdout == f"{problem.reference}\n"))

    async def strategy(problem, think):
        verdict = await think.verify(runs, problem, "print(7 * 8)")
        think.propose(str(verdict.score))

    run = tttlab.think("Ask", strategy=strategy, model=Speaker(), reference="56", allow_code=True)
    assert run.answer == "1.0"
