"""Where settings come from: flag, then QUORATE_*, then NOMAD_*, then the default."""

import pytest

from quorate.client import ClientError, Settings, TlsOptions, settings_from_environment
from quorate.client.transport.environment import VARIABLES

OF_THEIR_OWN = {"tls-skip-verify", "token-file"}  # a boolean; read: see test_cli_acl.py
TEXTS = {option: name for option, name in VARIABLES.items() if option not in OF_THEIR_OWN}


def value_of(settings: Settings, option: str) -> str:
    tls = {
        "ca-cert": settings.tls.ca_cert,
        "ca-path": settings.tls.ca_path,
        "client-cert": settings.tls.client_cert,
        "client-key": settings.tls.client_key,
        "tls-server-name": settings.tls.server_name,
    }
    return tls[option] if option in tls else str(getattr(settings, option))


@pytest.mark.parametrize("option", TEXTS)
def test_precedence(option: str) -> None:
    name = TEXTS[option]
    environ = {f"NOMAD_{name}": "nomad"}
    assert value_of(settings_from_environment(environ), option) == "nomad"
    environ[f"QUORATE_{name}"] = "quorate"
    assert value_of(settings_from_environment(environ), option) == "quorate"
    assert value_of(settings_from_environment(environ, {option: "flag"}), option) == "flag"
    assert value_of(settings_from_environment(environ, {option: ""}), option) == "quorate"
    environ[f"QUORATE_{name}"] = ""
    assert value_of(settings_from_environment(environ), option) == "nomad"


def test_defaults() -> None:
    assert settings_from_environment({}) == Settings(
        address="http://127.0.0.1:4646", tls=TlsOptions()
    )


@pytest.mark.parametrize(
    ("environ", "given", "skip"),
    [
        ({"NOMAD_SKIP_VERIFY": "true"}, {}, True),
        ({"NOMAD_SKIP_VERIFY": "1"}, {"tls-skip-verify": False}, False),
        ({"NOMAD_SKIP_VERIFY": "1", "QUORATE_SKIP_VERIFY": "false"}, {}, False),
        ({"NOMAD_SKIP_VERIFY": ""}, {}, False),
        ({}, {"tls-skip-verify": True}, True),
    ],
)
def test_skip_verify(environ: dict[str, str], given: dict[str, str | bool], skip: bool) -> None:
    assert settings_from_environment(environ, given).tls.skip_verify is skip


@pytest.mark.parametrize("prefix", ["NOMAD_", "QUORATE_"])
def test_skip_verify_that_is_no_boolean(prefix: str) -> None:
    with pytest.raises(ClientError) as caught:
        settings_from_environment({f"{prefix}SKIP_VERIFY": "maybe"})
    assert str(caught.value) == (
        f'could not parse {prefix}SKIP_VERIFY: strconv.ParseBool: parsing "maybe": invalid syntax'
    )


@pytest.mark.parametrize(
    ("text", "auth"),
    [("", None), ("u", ("u", "")), ("u:p", ("u", "p")), ("u:p:q", ("u", "p:q"))],
)
def test_http_auth(text: str, auth: tuple[str, str] | None) -> None:
    assert settings_from_environment({"NOMAD_HTTP_AUTH": text}).http_auth == auth
