"""The wire formats by the names that their tests use, each with a model to ask: a new format adds its row here."""

from __future__ import annotations

from tttlab.models.hosts import anthropic, google, ollama, openai, openai_compatible
from tttlab.models.wire import Named, WireFormat

FORMATS: dict[str, tuple[WireFormat, Named]] = {}
FORMATS |= {
    host.name: (host.wire, Named(provider=host.provider, model="m1", can=host.abilities("m1")))
    for host in openai_compatible.HOSTS
}
FORMATS |= {
    host.name: (host.wire, Named(provider=host.provider, model="m1", can=host.abilities("m1")))
    for host in (*anthropic.HOSTS, *google.HOSTS)
}
FORMATS |= {
    host.name: (host.wire, Named(provider=host.provider, model="m1", can=host.abilities("m1")))
    for host in (*openai.HOSTS, *ollama.HOSTS)
}
