"""A name says which model is meant, or says what is wrong with it."""

import sys
from dataclasses import replace

import pytest

import tttlab
from tttlab import models
from tttlab.errors import CredentialError, ModelError, OptionError
from tttlab.models import canonical_name, credentials, resolve_model
from tttlab.models import hosts as registry
from tttlab.models.addresses import place_of
from tttlab.models.hosts.host import Host, ModelRow
from tttlab.types import Capabilities

CLOUD = Host(
    name="cloud",
    title="A cloud",
    provider="cloud",
    address="https://api.cloud.example/v1",
    wire=None,
    key_variable="CLOUD_API_KEY",
    rows=(ModelRow(pattern="cumulus-*", can={"logprobs": True}),),
)
SERVER = Host(
    name="server",
    title="A server",
    provider="server",
    address="http://127.0.0.1:8000/v1",
    wire=None,
    local=True,
    address_variable="SERVER_HOST",
)
ANY = replace(SERVER, name="any", address="", address_variable=None)


@pytest.fixture
def known(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SERVER_HOST", raising=False)
    monkeypatch.delenv("CLOUD_API_KEY", raising=False)
    monkeypatch.setattr(credentials, "_typed", {})
    monkeypatch.setattr(registry, "hosts", lambda: {host.name: host for host in (CLOUD, SERVER, ANY)})


@pytest.mark.parametrize(
    ("name", "address", "canonical"),
    [
        ("cloud:cumulus-1", "https://api.cloud.example/v1", "cloud:cumulus-1"),
        ("cloud:@cf/meta/llama", "https://api.cloud.example/v1", "cloud:@cf/meta/llama"),
        ("cloud:m@20250101", "https://api.cloud.example/v1", "cloud:m@20250101"),
        ("cloud:m@https://proxy.example/", "https://proxy.example/v1", "cloud:m@https://proxy.example"),
        ("server:qwen3", "http://127.0.0.1:8000/v1", "server:qwen3"),
        ("server:qwen3@http://127.0.0.1:8000", "http://127.0.0.1:8000/v1", "server:qwen3"),
        ("server:qwen3@http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", "server:qwen3"),
        ("server:org/qwen3:8b@http://gpu:9", "http://gpu:9/v1", "server:org/qwen3:8b@http://gpu:9"),
        ("server:q@http://gpu/openai/v2/", "http://gpu/openai/v2", "server:q@http://gpu/openai/v2"),
        ("any:q@http://[::1]:80", "http://[::1]:80", "any:q@http://[::1]:80"),
    ],
)
def test_a_name_says_host_model_and_address(known, name, address, canonical):
    kind, _, rest = name.partition(":")
    place = place_of(registry.hosts()[kind], rest)
    assert (place.address, place.name) == (address, canonical)
    assert canonical_name(name) == canonical
    assert canonical_name(canonical) == canonical


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("server:q@127.0.0.1:8000", "needs its http://"),
        ("server:q@http://", "is none"),
        ("server:q@http://gpu:99999", "is none"),
        ("server:q@http://me:planted-password@gpu", "a key has its own place"),
        ("server:q@http://gpu?key=planted-password", "a key has its own place"),
        ("cloud:q@http://proxy.example", "https://"),
        ("server:", "names no model: write server:MODEL"),
        ("any:q", "write any:q@http://"),
        ("clod:cumulus-1", "did you mean 'cloud:cumulus-1'?"),
        ("cumulus-1", "did you mean 'cloud:cumulus-1'?"),
        ("smolm2", "did you mean"),
        ("zzzzzz", "there is no model 'zzzzzz': write HOST:NAME; `tttlab models` lists the hosts"),
    ],
)
def test_what_is_wrong_with_a_name_is_said_in_one_line(known, name, said):
    with pytest.raises(OptionError) as raised:
        resolve_model(name)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "planted-password" not in str(raised.value)


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000/v1"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000/v1"),
        ("gpu:9000", "http://gpu:9000/v1"),
        ("https://gpu.example", "https://gpu.example/v1"),
        ("[::]:7", "http://[::1]:7/v1"),
    ],
)
def test_a_servers_own_variable_says_where_it_is(known, monkeypatch, told, address):
    monkeypatch.setenv("SERVER_HOST", told)
    place = place_of(SERVER, "q")
    assert (place.address, place.name) == (address, "server:q")


def test_a_host_without_a_key_is_refused_before_anything_is_asked(known, tmp_path):
    with pytest.raises(CredentialError, match=r"set CLOUD_API_KEY, or put cloud = \"...\" into .*keys\.toml"):
        resolve_model("cloud:cumulus-1")


def test_a_hosted_model_has_the_abilities_of_its_row_and_those_that_the_user_corrects(known, monkeypatch):
    monkeypatch.setenv("CLOUD_API_KEY", "planted-key-0001")
    assert resolve_model("cloud:cumulus-1").can == Capabilities(logprobs=True)
    model = tttlab.model("server:q@http://gpu:9", can={"n": True, "effort": ["low", "high"]})
    assert (model.name, model.can.n, model.can.effort) == ("server:q@http://gpu:9", True, ("low", "high"))
    with pytest.raises(OptionError, match=r"has an ability 'logprob'; did you mean 'logprobs'\?"):
        tttlab.model("server:q", can={"logprob": True})
    with pytest.raises(OptionError, match="n is bool, not 'yes'"):
        tttlab.model("server:q", can={"n": "yes"})
    with pytest.raises(OptionError, match="are its own"):
        tttlab.model("scripted", can={"n": True})


@pytest.fixture
def another_package(tmp_path, monkeypatch):
    """A distribution on the import path that adds `acme:NAME` and a `broken:NAME`."""
    facts = tmp_path / "site" / "acme_models-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-models\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[tttlab.models]\nacme = acme_models:model\nbroken = acme_models:nothing\n")
    (tmp_path / "site" / "acme_models.py").write_text(
        "import tttlab\ndef model(name):\n    return tttlab.ScriptedModel('The answer is 56.', name=f'acme:{name}')\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    models.entry_points.cache_clear()
    yield
    models.entry_points.cache_clear()
    sys.modules.pop("acme_models", None)


def test_another_package_adds_a_model_through_an_entry_point(another_package):
    run = tttlab.think("7 * 8?", model="acme:echo")
    assert (run.model, run.answer) == ("acme:echo", "56")
    with pytest.raises(ModelError, match=r"broken:x: the package acme-models failed \(AttributeError"):
        resolve_model("broken:x")
    with pytest.raises(OptionError, match="did you mean 'acme:echo'"):
        resolve_model("acne:echo")
