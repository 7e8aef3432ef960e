"""A cost says whose price it is by; what is not known is not zero."""

import subprocess
import sys
from dataclasses import replace
from datetime import date
from importlib.metadata import version

import pytest

import tttlab
from tttlab.errors import OptionError
from tttlab.models.hosts import hosts
from tttlab.models.hosts.host import Host
from tttlab.models.prices import price_of
from tttlab.types import Price, Usage

CLOUD = Host(name="cloud", title="", provider="cloud", address="https://cloud.example", wire=None, prices="anthropic")


@pytest.fixture(autouse=True)
def own_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "tttlab"


def test_a_price_of_the_library_names_it_with_its_version_and_the_day():
    price = price_of(CLOUD, "claude-opus-4-5-20251101")
    assert (price.prompt, price.output, price.cached) == (5.0, 25.0, 0.5)
    assert price.source == f"genai-prices {version('genai-prices')} ({date.today().isoformat()})"  # noqa: DTZ011


def test_a_price_that_depends_on_the_prompts_length_says_so():
    price = price_of(CLOUD, "claude-sonnet-4-5")
    assert price.prompt == 3.0
    assert price.source.endswith("; prompts over 200,000 tokens cost more")


def test_what_is_not_known_has_no_price_and_a_local_server_costs_nothing():
    assert price_of(CLOUD, "no-such-model") is None
    assert price_of(replace(CLOUD, prices="no-such-provider"), "claude-opus-4-5") is None
    assert price_of(replace(CLOUD, prices=None), "claude-opus-4-5") is None
    assert price_of(replace(CLOUD, local=True), "x") == Price(prompt=0.0, output=0.0, source="local")
    assert price_of(replace(CLOUD, local=True), "x").dollars(Usage(prompt_tokens=9, output_tokens=9)) == 0.0


def test_every_host_with_prices_is_in_the_library():
    from genai_prices.data import providers

    known = {provider.id for provider in providers}
    assert [host.name for host in hosts().values() if host.prices and host.prices not in known] == []


def test_the_users_own_prices_go_first(own_configuration, tmp_path):
    own_configuration.mkdir(parents=True)
    file = own_configuration / "prices.toml"
    file.write_text('["cloud:claude-*"]\nprompt = 1\noutput = 2.5\n["gpu:*"]\nprompt = 0.1\noutput = 0.2\n')
    price = price_of(CLOUD, "claude-opus-4-5")
    assert (price.prompt, price.output, price.cached) == (1.0, 2.5, None)
    assert price.source.endswith(f"prices.toml ({date.today().isoformat()})")  # noqa: DTZ011
    assert price_of(replace(CLOUD, name="gpu", local=True), "qwen3").output == 0.2
    mine = tmp_path / "mine.toml"
    mine.write_text('["cloud:*"]\nprompt = 7\noutput = 8\n')
    tttlab.configure(prices=mine)
    assert price_of(CLOUD, "claude-opus-4-5").prompt == 7.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt = ", "cannot be read"),
        ('"cloud:*" = 3', "prompt = and output ="),
        ('["cloud:*"]\nprompt = 1\noutput = -2', "output of 'cloud:*' is dollars a million tokens, not -2"),
        ('["cloud:*"]\nprompt = 1\noutput = 2\ncache = 1', "no 'cache'; did you mean 'cached'?"),
    ],
)
def test_a_file_of_prices_that_is_wrong_is_an_error(own_configuration, text, said):
    own_configuration.mkdir(parents=True)
    (own_configuration / "prices.toml").write_text(text)
    with pytest.raises(OptionError) as raised:
        price_of(CLOUD, "claude-opus-4-5")
    assert said in str(raised.value)


def test_a_file_of_prices_that_is_named_must_be_there(tmp_path):
    tttlab.configure(prices=tmp_path / "none.toml")
    with pytest.raises(OptionError, match="there is no file of prices"):
        price_of(CLOUD, "claude-opus-4-5")


def test_prices_are_looked_up_without_a_network_and_imported_when_first_needed():
    code = """
import socket, sys
def refuse(*_, **__): raise AssertionError("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
import tttlab.models.prices as prices
from tttlab.models.hosts.host import Host
assert "genai_prices" not in sys.modules
host = Host(name="h", title="", provider="h", address="https://h", wire=None, prices="openai")
print(prices.price_of(host, "gpt-4o") is not None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
