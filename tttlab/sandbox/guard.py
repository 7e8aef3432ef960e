"""Runs inside the sandbox's process: shuts itself in, then becomes the program.

A script of the standard library alone: `python -I guard.py` with a job as JSON on standard input. It fails closed:
where a lock that the job names cannot be shut, the program is not run, and the exit code is `NOT_SHUT`.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import struct
import sys
from pathlib import Path
from typing import Any

NOT_SHUT = 121
_NOBODY = 65534
_NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
"""CLONE_NEWUSER, NEWNS, NEWPID, NEWNET, NEWIPC and NEWUTS."""
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS, _SET_SECCOMP = 1, 38, 22
_EPERM, _ENOSYS = 1, 38

# System calls by machine. `denied` fail; `own` pass where their first argument is this process.
_MACHINES: dict[str, dict[str, Any]] = {
    "x86_64": {
        "arch": 0xC000003E,
        "first_foreign": 0x40000000,  # The x32 calls begin here.
        "pivot_root": 155,
        "clone": 56,
        "clone3": 435,
        "own": {"kill": 62, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "prlimit64": 302},
        "denied": {
            "fork": 57, "vfork": 58, "socket": 41, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
            "tkill": 200, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
            "bpf": 321, "io_uring_setup": 425, "add_key": 248, "request_key": 249, "keyctl": 250,
            "perf_event_open": 298, "userfaultfd": 323, "pidfd_open": 434, "pidfd_send_signal": 424,
            "open_by_handle_at": 304, "setpgid": 109, "setsid": 112, "kexec_load": 246,
        },
    },
    "aarch64": {
        "arch": 0xC00000B7,
        "first_foreign": None,
        "pivot_root": 41,
        "clone": 220,
        "clone3": 435,
        "own": {"kill": 129, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "prlimit64": 261},
        "denied": {
            "socket": 198, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "tkill": 130,
            "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "bpf": 280,
            "io_uring_setup": 425, "add_key": 217, "request_key": 218, "keyctl": 219, "perf_event_open": 241,
            "userfaultfd": 282, "pidfd_open": 434, "pidfd_send_signal": 424, "open_by_handle_at": 265, "setpgid": 154,
            "setsid": 157, "kexec_load": 104,
        },
    },
}  # fmt: skip


def main() -> None:
    """Read the job, shut the locks that it names, and run its program."""
    job = json.load(sys.stdin)
    try:
        _die_with_parent()
        if job["namespaces"]:
            _enter_namespaces(job)
        os.chdir(job["folder"])
        _lay_out(job)
        _limit(job["limits"])
        if job["seccomp"]:
            _filter_calls()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the program must not run
        sys.stderr.write(f"sandbox: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(NOT_SHUT)
    # Not -I, under which Python would not take its hash seed from the environment, which is the sandbox's own.
    os.execv(sys.executable, [sys.executable, "-P", "-B", "-X", "utf8", "program.py"])  # noqa: S606 - no shell is wanted


def _lay_out(job: dict[str, Any]) -> None:
    Path("program.py").write_bytes(job["code"].encode("utf-8", "surrogatepass"))
    entry = Path(".stdin")
    entry.write_bytes(job["stdin"].encode("utf-8", "replace"))
    descriptor = os.open(entry, os.O_RDONLY)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    entry.unlink()


def _limit(limits: dict[str, int]) -> None:
    try:
        import resource
    except ImportError:  # Windows has none: what its parent measures, time and output, is all there is.
        return
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            # A second later, so that the first signal is the one that says why.
            resource.setrlimit(kind, (soft, soft + 1 if name == "CPU" and soft == value else soft))
        except (OSError, ValueError):
            if sys.platform == "linux":  # macOS refuses some kinds, a limit of address space among them.
                raise


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _checked(_libc().prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _enter_namespaces(job: dict[str, Any]) -> None:
    """Become process 2 of new namespaces, in a root of its own that holds what is readable and an empty folder."""
    user, group = os.geteuid(), os.getegid()
    _checked(_libc().unshare(_NEW_NAMESPACES), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    # Not root inside either: the abilities that it has until `exec` serve to mount, and end there.
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {group} 1")
    _become_child()
    _new_root(job)
    _become_child()


def _become_child() -> None:
    """Fork: the child goes on, the parent waits for it and ends as it ended."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(status if status >= 0 else 128 - status)
    _die_with_parent()


def _new_root(job: dict[str, Any]) -> None:
    libc, machine = _libc(), _MACHINES[platform.machine()]
    root = job["root"]

    def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
        encoded = [None if text is None else text.encode() for text in (source, target, kind)]
        _checked(libc.mount(*encoded, ctypes.c_ulong(flags), data.encode()), f"mount {target}")

    mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=0755")
    for path in job["readable"]:
        inside = Path(root + path)
        if Path(path).is_dir():
            inside.mkdir(parents=True, exist_ok=True)
        else:
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
        mount(path, str(inside), None, _MS_BIND | _MS_REC)
        if not path.startswith("/dev/"):
            _read_only(libc, str(inside), below=True)
    for link, target in job["links"].items():
        Path(root + link).symlink_to(target)
    own = root + job["folder"]
    Path(own).mkdir(parents=True, exist_ok=True)
    mount("tmpfs", own, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={job['space']},nr_inodes=4096,mode=0755")
    _read_only(libc, root, below=False)
    os.chdir(root)
    _checked(libc.syscall(machine["pivot_root"], b".", b"."), "pivot_root")
    _checked(libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")


def _read_only(libc: ctypes.CDLL, path: str, *, below: bool) -> None:
    """`mount_setattr`, which reaches the mounts below as well; Linux 5.12 and later."""
    read_only, no_suid, no_devices = 1, 2, 4
    attributes = struct.pack("QQQQ", read_only | no_suid | no_devices, 0, 0, 0)
    recursive, here = 0x8000, -100
    result = libc.syscall(442, here, path.encode(), recursive if below else 0, attributes, len(attributes))
    _checked(result, f"mount_setattr {path}")


def _filter_calls() -> None:
    """Seccomp, from here on: no new process, no socket, no signal to another process and no look into one."""
    machine = _MACHINES[platform.machine()]
    program = _bpf(machine, os.getpid())
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    libc = _libc()
    _checked(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    filled = Program(len(program) // 8, ctypes.cast(code, ctypes.c_void_p))
    _checked(libc.prctl(_SET_SECCOMP, 2, ctypes.byref(filled), 0, 0), "seccomp")


def _bpf(machine: dict[str, Any], pid: int) -> bytes:
    """The filter, in the classic Berkeley packet filter's instructions: (code, jump if true, jump if false, value)."""
    load, equal, at_least, bit_set, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill = 0x7FFF0000, 0x80000000

    def refuse(number: int) -> tuple[int, int, int, int]:
        return (give, 0, 0, 0x00050000 | number)

    lines = [(load, 0, 0, 4), (equal, 1, 0, machine["arch"]), (give, 0, 0, kill), (load, 0, 0, 0)]
    if machine["first_foreign"]:
        lines += [(at_least, 0, 1, machine["first_foreign"]), refuse(_ENOSYS)]
    for call in machine["denied"].values():
        lines += [(equal, 0, 1, call), refuse(_EPERM)]
    # The C library falls back from clone3 to clone, whose flags can be read here: threads pass, processes do not.
    lines += [(equal, 0, 1, machine["clone3"]), refuse(_ENOSYS)]
    lines += [(equal, 0, 4, machine["clone"]), (load, 0, 0, 16), (bit_set, 0, 1, 0x00010000), (give, 0, 0, allow)]
    lines += [refuse(_EPERM)]
    for name, call in machine["own"].items():
        # To `kill`, 0 is the whole group; to `prlimit64` it is the caller.
        also = 0 if name == "prlimit64" else pid
        lines += [(equal, 0, 5, call), (load, 0, 0, 16), (equal, 1, 0, also), (equal, 0, 1, pid)]
        lines += [(give, 0, 0, allow), refuse(_EPERM)]
    lines += [(give, 0, 0, allow)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


if __name__ == "__main__":
    main()
