"""A real Phoenix takes what `tttlab send` sends, and shows it as it is: `pytest -m slow tests/interop`."""

import httpx
import pytest

import tttlab
from tests.interop import servers
from tests.interop.conftest import eventually, stored_spans
from tttlab.store.otlp.selection import Form
from tttlab.store.otlp.send import send

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def phoenix(installed, tmp_path):
    with servers.phoenix(installed(servers.PHOENIX), tmp_path) as address:
        yield address


def spans_of(address):
    answer = httpx.get(f"{address}/v1/projects/default/spans", params={"limit": 1000}, timeout=30)
    return answer.json()["data"] if answer.status_code == 200 else []


def project_of(address):
    query = "{projects{edges{node{name traceCount tokenCountTotal}}}}"
    answer = httpx.post(f"{address}/graphql", json={"query": query}, timeout=30).json()
    return next(node for edge in answer["data"]["projects"]["edges"] if (node := edge["node"])["name"] == "default")


def test_phoenix_has_every_span_with_its_kind_its_messages_and_its_count_of_tokens(phoenix, two_runs):
    voted, _ = two_runs
    stored = stored_spans()
    sent = send(tttlab.connect(), [], phoenix, Form("attribute", openinference=True))
    assert (sent.spans, sent.rejected, sent.said) == (len(stored), 0, ())
    found = eventually(lambda: spans_of(phoenix), lambda spans: len(spans) >= len(stored))
    there = {
        each["context"]["span_id"]: (each["parent_id"] or None, each["context"]["trace_id"], each["name"])
        for each in found
    }
    assert there == stored
    calls = [each for each in found if each["span_kind"] == "LLM"]
    assert len(calls) == 4
    for call in calls:
        attributes = call["attributes"]
        assert attributes["llm.model_name"] == "speaker"
        assert attributes["llm.token_count.total"] == 7  # 3 of the prompt and 4 words.
        assert attributes["llm.input_messages.0.message.role"] == "user"
        assert "The answer is" in attributes["llm.output_messages.0.message.content"]
        assert "The answer is" in attributes["output.value"]
        assert "offset_ns" in attributes["tttlab.tokens"]
    [root] = [each for each in found if each["attributes"].get("tttlab.run.id") == voted.id and not each["parent_id"]]
    assert (root["span_kind"], root["status_code"]) == ("CHAIN", "UNSET")
    assert root["attributes"]["input.value"] == "What is 7 times 8?"

    assert project_of(phoenix) == {"name": "default", "traceCount": 2, "tokenCountTotal": 28}
