"""Credentials hidden in spans: what tttlab gives its own, and the rows of those that others made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tttlab.masking import known_secrets, masked_values
from tttlab.tracing import names
from tttlab.tracing.rows import SpanEvent, SpanLink, SpanRow

_IDS = frozenset(
    {
        names.RUN_ID,
        names.CALL_DIGEST,
        names.MODEL_DIGEST,
        names.REPLAY_OF,
        names.REPLAY_OF_RUN,
        names.DECISION_RUN,
    }
)
"""Made by tttlab itself, to find rows by: a short credential that is by chance in one is not hidden there."""


def without_secrets(attributes: Mapping[str, Any], before: int = 0) -> Mapping[str, Any]:
    """The attributes with all credentials hidden, and how many there were: added to those found `before`."""
    if not known_secrets():
        return attributes
    told, count = masked_values({key: value for key, value in attributes.items() if key not in _IDS})
    if not count:
        return attributes
    ids = {key: value for key, value in attributes.items() if key in _IDS}
    return {**ids, **told, names.MASKED: before + count}


def row_without_secrets(row: SpanRow) -> SpanRow:
    """The row with all credentials hidden, wherever they stand in it."""
    said, count = masked_values([row.name, row.status_message, row.events, row.links, row.resource])
    attributes = without_secrets(row.attributes, int(row.attributes.get(names.MASKED, 0)))
    if not count:
        return row._replace(attributes=attributes)
    name, status_message, events, links, resource = said
    already = int(attributes.get(names.MASKED, 0))
    return row._replace(
        name=name,
        status_message=status_message,
        attributes={**attributes, names.MASKED: already + count},
        events=[SpanEvent(*event) for event in events],
        links=[SpanLink(*link) for link in links],
        resource=resource,
    )
