"""A real MLflow server takes what `tttlab send` sends, and has it as it is: `pytest -m slow tests/interop`."""

import base64
import json

import httpx
import pytest

import tttlab
from tests.interop import servers
from tests.interop.conftest import eventually, stored_spans
from tttlab.errors import StoreError
from tttlab.store.otlp.selection import Form
from tttlab.store.otlp.send import send

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def mlflow(installed, tmp_path):
    with servers.mlflow(installed(servers.MLFLOW), tmp_path) as address:
        yield address


def traces_of(address):
    """The traces of the default experiment, whole, by id."""
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    api = f"{address}/api/3.0/mlflow/traces"
    found = httpx.post(f"{api}/search", json={"locations": [place], "max_results": 100}, timeout=30).json()
    ids = [each["trace_id"] for each in found.get("traces", [])]
    return [httpx.get(f"{api}/get", params={"trace_id": each}, timeout=30).json()["trace"] for each in ids]


def digits(said):
    return base64.b64decode(said).hex() if said else None


def test_mlflow_has_every_span_with_its_kind_and_its_count_of_tokens(mlflow, two_runs):
    stored = stored_spans()
    # It says what it misses, in its own words.
    with pytest.raises(StoreError, match=r"/v1/traces answered 422: .*x-mlflow-experiment-id"):
        send(tttlab.connect(), [], mlflow)
    form = Form("attribute", openinference=True)
    sent = send(tttlab.connect(), [], mlflow, form, headers=servers.MLFLOW_HEADERS)
    assert (sent.spans, sent.rejected, sent.said) == (len(stored), 0, ())
    traces = eventually(
        lambda: traces_of(mlflow), lambda found: sum(len(each["spans"]) for each in found) >= len(stored)
    )
    spans = [span for trace in traces for span in trace["spans"]]
    assert {
        digits(each["span_id"]): (digits(each.get("parent_span_id")), digits(each["trace_id"]), each["name"])
        for each in spans
    } == stored
    infos = {each["trace_info"]["request_preview"]: each["trace_info"] for each in traces}
    counts = {
        asked: json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])["total_tokens"]
        for asked, info in infos.items()
    }
    assert counts == {'"What is 7 times 8?"': 21, '"Name a prime."': 7}
    assert infos['"What is 7 times 8?"']["response_preview"] == '"56"'
    values = [{pair["key"]: pair["value"].get("string_value") for pair in span["attributes"]} for span in spans]
    calls = [each for each in values if each["mlflow.spanType"] == "LLM"]
    assert len(calls) == 4
    assert all("The answer is" in each["mlflow.spanOutputs"] for each in calls)
