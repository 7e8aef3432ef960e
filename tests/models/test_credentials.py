"""A key is found where it is kept, and seen nowhere."""

import copy
import getpass
import os
import pickle
import sys
from dataclasses import asdict

import pytest

from tttlab.errors import CredentialError
from tttlab.masking import known_secrets, masked
from tttlab.models import credentials
from tttlab.models.credentials import Credential, Secret, can_ask, keep_file_secret, key_file

KEY = "sk-planted-0123456789"
CLOUD = Credential("cloud", "CLOUD_API_KEY")


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CLOUD_API_KEY", raising=False)
    monkeypatch.setattr(credentials, "_typed", {})


def keys(text, mode=0o600):
    key_file().parent.mkdir(parents=True, exist_ok=True)
    key_file().write_text(text)
    key_file().chmod(mode)


def test_the_environment_goes_before_the_file(monkeypatch):
    keys(f'cloud = "{KEY}"\n')
    assert (CLOUD(), CLOUD.source()) == (KEY, str(key_file()))
    monkeypatch.setenv("CLOUD_API_KEY", "sk-of-the-environment \n")
    assert (CLOUD(), CLOUD.source()) == ("sk-of-the-environment", "CLOUD_API_KEY")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(mode):
    keys(f'cloud = "{KEY}"\n', mode)
    with pytest.raises(
        CredentialError, match=rf"others can read the key file .* \(mode {mode:o}\): chmod 600 "
    ) as said:
        CLOUD()
    assert KEY not in str(said.value)


@pytest.mark.parametrize(
    "text", [f"cloud = {KEY}", f'cloud = "{KEY}', f"{KEY}", f'cloud = "{KEY}"\ncloud = "{KEY}"', "\xff"]
)
def test_a_file_that_cannot_be_read_is_an_error_that_does_not_quote_it(text):
    keys("")
    key_file().write_bytes(text.encode("latin-1"))
    with pytest.raises(CredentialError, match="cannot be read") as said:
        CLOUD()
    assert KEY not in str(said.value)
    assert KEY not in repr(said.value)


def test_without_a_key_the_error_names_the_variable_and_the_file():
    with pytest.raises(CredentialError) as said:
        CLOUD()
    assert (
        str(said.value)
        == f'cloud:*: there is no key: set CLOUD_API_KEY, or put cloud = "..." into {key_file()} (mode 600)'
    )
    assert CLOUD.source() is None
    assert Credential("server", "SERVER_API_KEY", optional=True)() == ""


@pytest.mark.parametrize("key", ["sk-with a space", "sk-zero\u200bwidth", "sk-line\nbreak"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(monkeypatch, key):
    monkeypatch.setenv("CLOUD_API_KEY", key)
    with pytest.raises(CredentialError, match="the key in CLOUD_API_KEY holds a character that no key has") as said:
        CLOUD()
    assert key not in str(said.value)


def test_no_text_of_a_secret_shows_it(monkeypatch):
    secret = Secret(KEY)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{[secret]}", f"{secret!a}"):
        assert KEY not in text
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied") as said:
            copied(secret)
        assert KEY not in str(said.value)
    assert secret.reveal() == KEY
    monkeypatch.setenv("CLOUD_API_KEY", KEY)
    assert CLOUD() == KEY
    for shown in (repr(CLOUD), str(asdict(CLOUD)), pickle.dumps(CLOUD).decode("latin-1")):
        assert KEY not in shown


def test_a_key_is_asked_for_once_where_somebody_can_be_asked(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(credentials, "can_ask", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or KEY)
    CLOUD.make_sure()
    CLOUD.make_sure()
    assert (CLOUD(), CLOUD.source(), len(asked)) == (KEY, "typed in", 1)
    assert KEY not in asked[0]
    assert KEY not in "".join(capsys.readouterr())
    assert KEY not in repr(credentials._typed)


def test_nothing_typed_in_is_not_asked_again(monkeypatch):
    asked = []
    monkeypatch.setattr(credentials, "can_ask", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or "")
    for _ in range(2):
        with pytest.raises(CredentialError, match="there is no key"):
            CLOUD.make_sure()
    assert len(asked) == 1


def test_nobody_is_asked_without_a_terminal_or_in_another_thread(monkeypatch):
    monkeypatch.setattr(getpass, "getpass", lambda _: pytest.fail("somebody was asked"))
    with pytest.raises(CredentialError):
        CLOUD.make_sure()
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    assert can_ask()
    from threading import Thread

    heard = []
    thread = Thread(target=lambda: heard.append(can_ask()))
    thread.start()
    thread.join()
    assert heard == [False]


def test_what_was_found_is_hidden_from_then_on(monkeypatch):
    keys('cloud = "sk-in-the-file-42"\nother = "short"\n')
    keep_file_secret()
    assert masked("a sk-in-the-file-42, short") == f"a {'•' * 17}, short"
    monkeypatch.setenv("ANY_API_KEY", "sk-of-another-program")
    assert masked("sk-of-another-program") == "•" * 21
    monkeypatch.setenv("ANY_API_KEY", "not-needed")
    assert masked("not-needed") == "not-needed"
    assert "sk-of-another-program" not in known_secrets()
