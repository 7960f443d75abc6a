"""Secrets from files: what is wrong with one is said in a line, and never what it holds."""

import os

import pytest

from moderator.errors import BadSettings
from moderator.settings import fields, load_settings

SECRETS = [name for _, name, field in fields() if "SecretStr" in str(field.annotation)]
SASL = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "me"}


def refused(given: dict[str, str], environ: dict[str, str] | None = None) -> str:
    with pytest.raises(BadSettings) as caught:
        load_settings(given, environ or {})
    text = str(caught.value)
    assert "\n" not in text
    assert "hunter2" not in text
    return text


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_what_ends_the_line_is_no_part_of_a_secret(tmp_path, end) -> None:
    path = tmp_path / "secret"
    path.write_bytes(f" hunter2 {end}".encode())
    for found in (
        load_settings({**SASL, "sasl_password_file": str(path)}, environ={}),
        load_settings(SASL, environ={"MODERATOR_SASL_PASSWORD_FILE": str(path)}),
    ):
        assert found.kafka.secret("sasl_password") == " hunter2 "
        assert "hunter2" not in repr(found) + found.model_dump_json()


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_be_in_a_file_and_bad_ones_are_named(tmp_path, name) -> None:
    setting = f"{name}_file"
    empty, lines, binary, large = (tmp_path / each for each in ("empty", "lines", "bin", "large"))
    empty.write_text("\n")
    lines.write_text("hunter2\nhunter2\n")
    binary.write_bytes(b"hunter2\xff")
    large.write_text("hunter2" * 20_000)
    for path, said in (
        (tmp_path / "absent", "there is no file"),
        (tmp_path, "no regular file"),
        (empty, "is empty"),
        (lines, "more than one line"),
        (binary, "no UTF-8"),
        (large, "larger than"),
    ):
        text = refused({setting: str(path)})
        assert text.startswith(f"--set {setting}: ")
        assert said in text
        assert str(path) in text
        variable = f"MODERATOR_{setting.upper()}"
        assert refused({}, {variable: str(path)}).startswith(f"{variable}: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2")
    path.chmod(0)
    assert "Permission denied" in refused({"sasl_password_file": str(path)})


def test_a_secret_is_given_once(tmp_path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2")
    text = refused({**SASL, "sasl_password": "hunter2", "sasl_password_file": str(path)})
    assert "set one of them" in text


def test_a_file_is_read_anew_and_one_that_is_gone_is_an_error_then(tmp_path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2")
    kafka = load_settings({**SASL, "sasl_password_file": str(path)}, environ={}).kafka
    path.write_text("hunter3\n")
    assert kafka.secret("sasl_password") == "hunter3"
    path.unlink()
    with pytest.raises(BadSettings, match="sasl_password_file: there is no file"):
        kafka.secret("sasl_password")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ssl_cafile": __file__}, "need security_protocol SSL or SASL_SSL"),
        ({"security_protocol": "SSL", "ssl_keyfile": __file__}, "need ssl_certfile"),
        ({**SASL, "sasl_mechanism": "OAUTHBEARER"}, "not of OAUTHBEARER"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "token_endpoint_url"),
        ({**SASL, "sasl_oauthbearer_scope": "a"}, "not of PLAIN"),
        (SASL, "sasl_password"),
        ({"sasl_oauthbearer_token_endpoint_url": "http://a/b"}, "no place of tokens"),
        ({"sasl_oauthbearer_token_endpoint_url": "https://u:hunter2@a/b"}, "leave user"),
    ],
)
def test_settings_of_transport_that_contradict_each_other_are_refused(given, said) -> None:
    assert said in refused(given)
