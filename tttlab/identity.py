"""What makes a call the same call in another run, and the seeds that follow from it.

The identity of a call is the digest of the request as the strategy asked it, the path of the branch that asks, and the
call's number among the same requests of that branch, counted when asked: so it does not depend on latency, and the
first 8 of 16 samples are the same calls as 8 samples.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from tttlab.types import SAMPLING_OPTIONS, CallIdentity, Message, Sampling

_LATER = ("thinking_budget", "effort")
"""Options that came later, and change the digest only of a request that sets them: what was recorded stays the same."""
_SEEDS = 2**32 - 1
"""Seeds are below this: engines take 2**32 - 1 to mean "draw a seed yourself"."""


def request_digest(model: str, messages: tuple[Message, ...], sampling: Sampling) -> str:
    """The digest of a request as asked: model, messages and sampling, without its seed."""
    drawn = {name: getattr(sampling, name) for name in SAMPLING_OPTIONS}  # `asdict` copies each value deeply.
    for name in _LATER:
        if drawn[name] is None:
            del drawn[name]
    asked = {"model": model, "messages": [_turn(message) for message in messages], "sampling": drawn}
    canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"


def _turn(message: Message) -> list[object]:
    items = [[item.wire, item.content] for item in message.reasoning]
    return [message.role, message.text, *([items] if items else [])]


def hashed_seed(*parts: str | int) -> int:
    """A seed in [0, 2**32 - 1) hashed from its parts."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % _SEEDS


def call_seed(run_seed: int, identity: CallIdentity) -> int:
    """The sampling seed of a call.

    The base is hashed, so that runs with seeds 0 and 1 share no samples. Within one request the samples count up from
    it, because engines that share a prompt's prefix over n samples seed the i-th with base + i.
    """
    return (hashed_seed(run_seed, identity.digest, identity.branch) + identity.ordinal) % _SEEDS


class IdentityCounter:
    """Numbers the calls of one run."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, str]] = Counter()

    def take(self, digest: str, branch: str, n: int) -> list[CallIdentity]:
        """The identities of the next `n` calls of this request in this branch."""
        first = self._asked[digest, branch]
        self._asked[digest, branch] += n
        return [CallIdentity(digest, branch, first + index) for index in range(n)]
