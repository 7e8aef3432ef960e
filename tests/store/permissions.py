"""Permissions that hold for root too."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager

_VERSION = 0x20080522
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root goes past permission bits.


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Rights(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def without_permission(path):
    """While it lasts, this thread may not open the file; whatever it may rename in its folder it still may."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with _as_anybody():
            yield
    finally:
        path.chmod(mode)


@contextmanager
def _as_anybody():
    if os.geteuid() != 0:
        yield
        return
    libc, header, rights = ctypes.CDLL(None, use_errno=True), _Header(_VERSION, 0), (_Rights * 2)()
    assert libc.capget(ctypes.byref(header), rights) == 0
    held = rights[0].effective
    rights[0].effective = held & ~_OVERRIDES
    assert libc.capset(ctypes.byref(header), rights) == 0
    try:
        yield
    finally:
        rights[0].effective = held
        assert libc.capset(ctypes.byref(header), rights) == 0
