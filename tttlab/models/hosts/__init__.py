"""Hosts of models, as data: each file here has its `HOSTS`, and this finds one by name when it is asked for."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from tttlab.errors import OptionError, nearest

if TYPE_CHECKING:
    from tttlab.models.hosts.host import Host


@cache
def hosts() -> dict[str, Host]:
    """Every host that is known, by its name, in alphabetical order."""
    modules = [import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    found = [host for module in modules for host in getattr(module, "HOSTS", ())]
    return {host.name: host for host in sorted(found, key=lambda host: host.name)}


def find_host(name: str) -> Host:
    """The host of this name. Raises `OptionError`."""
    if name not in hosts():
        raise OptionError(f"there is no host {name!r}{nearest(name, hosts())}")
    return hosts()[name]
