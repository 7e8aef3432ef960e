"""The names of hosted models, `anthropic:claude-opus-4-5` or `vllm:qwen3@http://127.0.0.1:8000`, taken apart."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from tttlab.errors import OptionError
from tttlab.models.hosts.host import Host

_ADDRESSED = re.compile(r"(?P<model>.*)@(?P<address>https?:/.*)", re.IGNORECASE | re.DOTALL)
_LIKE_AN_ADDRESS = re.compile(r"(?P<model>[^@]*)@(?P<address>[\w.\-]+:\d+\S*|localhost\S*|\[\S*)")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what a server listens on and no client can ask


class Place(NamedTuple):
    """A model at a host: what `HostedModel` is made of."""

    host: Host
    model: str
    address: str
    """The base URL that is asked, without a slash at its end."""

    @property
    def name(self) -> str:
        """The model's full name: with its address where that is not the host's own."""
        path = urlsplit(self.host.address).path
        own = self.host.address and self.address == default_address(self.host)
        elsewhere = "" if own else f"@{self.address.removesuffix(path)}"
        return f"{self.host.name}:{self.model}{elsewhere}"


def place_of(host: Host, rest: str) -> Place:
    """The model that `rest` names at a host: `MODEL` or `MODEL@ADDRESS`. Raises `OptionError`."""
    found = _ADDRESSED.fullmatch(rest)
    if found is None and host.local and (bare := _LIKE_AN_ADDRESS.fullmatch(rest)):
        raise OptionError(f"the address {bare['address']!r} needs its http://: {host.name}:{bare['model']}@http://...")
    model = (found["model"] if found else rest).strip()
    if not model or any(character.isspace() for character in model):
        raise OptionError(f"{host.name}:{rest} names no model: write {_example(host)}")
    address = checked_address(host, found["address"]) if found else default_address(host)
    if not address:
        raise OptionError(f"{host.name} has no address of its own: write {host.name}:{model}@http://127.0.0.1:8000")
    return Place(host, model, address)


def checked_address(host: Host, address: str) -> str:
    """A base URL as the host's format takes it: with the host's path (`/v1`) where it has none. Raises `OptionError`.

    A key is sent in the clear to nobody but this machine, and to servers of the user's own.
    """
    parts = _parts(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionError(f"the address {_without_user(address)!r} is none: write http://NAME:PORT or https://NAME")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise OptionError(f"the address of {parts.hostname} holds more than a name and a path: a key has its own place")
    if parts.scheme == "http" and not host.is_own and not _is_here(parts.hostname):
        raise OptionError(f"the address of {parts.hostname} has no TLS, and {host.name} is sent a key: write https://")
    own = urlsplit(host.address).path.rstrip("/")
    path = parts.path.rstrip("/") or own
    return f"{parts.scheme}://{parts.netloc}{'' if path == '/v1' and host.address and not own else path}"


def default_address(host: Host) -> str:
    """The address from the host's variable, else its own; empty where it has none."""
    told = os.environ.get(host.address_variable, "").strip() if host.address_variable else ""
    if not told:
        return host.address.rstrip("/")
    parts = _parts(told if "://" in told else f"http://{told}")
    if parts.hostname in _EVERYWHERE:
        parts = parts._replace(netloc=f"{_EVERYWHERE[parts.hostname]}:{parts.port or ''}".rstrip(":"))
    if parts.port is None and parts.scheme == "http" and (port := urlsplit(host.address).port):
        parts = parts._replace(netloc=f"{parts.netloc}:{port}")
    return checked_address(host, parts.geturl())


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address.strip())
        _ = parts.port, parts.hostname
    except ValueError as error:
        raise OptionError(f"the address {_without_user(address)!r} is none: {error}") from None
    return parts


def _without_user(address: str) -> str:
    """An address that is wrong may hold a key, before an `@` or after a `?`."""
    return re.sub(r"//[^/]*@", "//", address).partition("?")[0]


def _is_here(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _example(host: Host) -> str:
    return f"{host.name}:MODEL" + ("@http://127.0.0.1:8000" if host.local or not host.address else "")
