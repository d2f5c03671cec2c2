"""`quorate tls`: recorded command lines of 1.6.3, and what is ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_run import Ran, run
from places import GOLDEN

CA = "nomad-agent-ca.pem"
CA_KEY = "nomad-agent-ca-key.pem"
CASES = sorted(path.stem for path in (GOLDEN / "cli-1.6").glob("v16cli-tls-*.json"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the program runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(case: str) -> None:
    """What was there before that command line."""
    if case.endswith("ca-create"):
        return
    if not case.endswith("ca-create-opts"):
        assert run("tls", "ca", "create").code == 0
    if case.endswith("cert-info"):
        assert run("tls", "cert", "create", "-server").code == 0


@pytest.mark.parametrize("name", CASES)
def test_recorded_command_lines(name: str, folder: Path) -> None:
    case: dict[str, Any] = json.loads((GOLDEN / "cli-1.6" / f"{name}.json").read_text())
    prepare(name)
    ran = run(*case["argv"][1:])
    assert ran.code == case["exit_code"]
    if "info" in name:
        # Names, numbers and times are those of another authority: what is before them is the same.
        def labels(text: str) -> list[str]:
            return [line.split("  ")[0] for line in text.splitlines()]

        assert labels(ran.stdout) == labels(case["stdout"])
        assert ran.stdout.splitlines()[-1] == case["stdout"].splitlines()[-1]
    else:
        assert ran.stdout == case["stdout"]
    if name.endswith("cert-server"):
        assert ran.stderr.startswith("==> WARNING: ")  # in words of our own
    else:
        assert ran.stderr == case["stderr"].replace("nomad tls", "quorate tls")


def test_files_are_of_the_owner_and_never_overwritten(folder: Path) -> None:
    assert run("tls", "ca", "create").code == 0
    assert (folder / CA_KEY).stat().st_mode & 0o777 == 0o600
    assert run("tls", "cert", "create", "-client", "-region=eu").code == 0
    key = folder / "eu-client-nomad-key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for words in (("ca", "create"), ("cert", "create", "-client", "-region=eu")):
        ran = run("tls", *words)
        assert (ran.code, "already exists" in ran.stderr) == (1, True)
    (folder / "eu-client-nomad.pem").unlink()
    assert run("tls", "cert", "create", "-client", "-region=eu").code == 1  # the key is there
    before.pop("eu-client-nomad.pem")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_openssl_believes_what_was_made(folder: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    assert run("tls", "ca", "create", "-name-constraint", "-additional-domain=a.example").code == 0
    made = run(
        *("tls", "cert", "create", "-server", "-additional-dnsname=s1.a.example"),
        *("-additional-ipaddress=10.0.0.1", "-server-id=8f2b"),
    )
    assert made.code == 0, made.stderr
    certificate = "global-server-nomad.pem"
    done = verified(certificate)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = run("tls", "cert", "info", "-json", certificate)
    facts = json.loads(shown.stdout)
    assert facts["DNSNames"] == ["server.global.nomad", "localhost", "s1.a.example"]
    assert facts["IPAddresses"] == ["127.0.0.1", "10.0.0.1"]
    assert facts["ServerIDs"] == ["8f2b"]
    assert not facts["IsCA"]
    # A name that the authority may not vouch for: it is made, and nothing believes it.
    assert run("tls", "cert", "create", "-cli", "-additional-dnsname=b.example").code == 0
    assert verified("global-cli-nomad.pem").returncode != 0


def verified(certificate: str) -> subprocess.CompletedProcess[str]:
    words = ["openssl", "verify", "-CAfile", CA, certificate]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_certificate_ends_with_its_authority(folder: Path) -> None:
    assert run("tls", "ca", "create", "-days=10").code == 0
    ran = run("tls", "cert", "create", "-cli")
    assert "The CA ends in" in ran.stdout
    ends = [
        json.loads(run("tls", kind, "info", "-json", file).stdout)["NotAfter"]
        for kind, file in (("ca", CA), ("cert", "global-cli-nomad.pem"))
    ]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ca", "create", "-days=0"), "cannot be valid for 0 days"),
        (("ca", "create", "-days=99999999999"), "cannot be valid for 99999999999 days"),
        (("ca", "create", "-domain=../x"), "domain '../x' is no DNS name"),
        (("ca", "create", "-additional-domain=x"), "without -name-constraint"),
        (("ca", "create", "-country=Utopia"), "provide the -common-name flag"),
        (("cert", "create", "-server", "-region=a/b"), "'server.a/b.nomad' is no DNS name"),
        (("cert", "create", "-server", "-region=" + "a" * 60), "over 64 characters"),
        (("cert", "create", "-server", "-cli"), "either -server, -client, or -cli"),
        (("cert", "create", "-cli", "-server-id=x"), "-server-id is for server certificates"),
        (("cert", "create", "-cli", "-additional-dnsname=a b"), "'a b' is no DNS name"),
        (("cert", "create", "-cli", "-additional-ipaddress=1.2.3"), "'1.2.3' is no IP address"),
        (("cert", "create", "-cli", "-ca=none.pem"), "cannot read none.pem: No such file"),
        (("cert", "create", "-cli", "-ca=" + CA_KEY), "holds no certificate"),
        (("cert", "create", "-cli", "-key=" + CA), "holds no private key"),
        (("cert", "create", "-cli", "-key=other.pem"), "does not belong to its certificate"),
        (("cert", "create", "-cli", "-ca=leaf.pem"), "not that of an authority"),
        (("cert", "info", "/dev/zero"), "/dev/zero: it is no regular file"),
        (("cert", "info", "pipe"), "pipe: it is no regular file"),
        (("cert", "info", "large.pem"), "more than 1048576 bytes"),
        (("cert", "info", "."), "cannot read .: Is a directory"),
        (("ca", "info", "leaf.pem"), "not the certificate of an authority"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_change_nothing(
    words: tuple[str, ...], said: str, folder: Path
) -> None:
    prepare_all(folder)
    if words[:2] == ("ca", "create"):
        for name in (CA, CA_KEY):
            (folder / name).unlink()
    before = sorted(path.name for path in folder.iterdir())
    ran = run("tls", *words)
    assert ran.code == 1
    assert said in ran.stderr, ran
    assert "Traceback" not in ran.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


def prepare_all(folder: Path) -> None:
    assert run("tls", "ca", "create", "-domain=other").code == 0
    (folder / "other-agent-ca-key.pem").rename(folder / "other.pem")
    assert run("tls", "ca", "create").code == 0
    assert run("tls", "cert", "create", "-client").code == 0
    (folder / "global-client-nomad.pem").rename(folder / "leaf.pem")
    (folder / "global-client-nomad-key.pem").rename(folder / "leaf-key.pem")
    (folder / "large.pem").write_bytes(bytes((1 << 20) + 1))
    os.mkfifo(folder / "pipe")


def test_a_file_that_is_cut_anywhere_is_refused(folder: Path) -> None:
    assert run("tls", "ca", "create").code == 0
    whole = (folder / CA).read_bytes()
    for size in range(0, len(whole) - 1, 7):
        (folder / "cut.pem").write_bytes(whole[:size])
        ran: Ran = run("tls", "ca", "info", "cut.pem")
        assert ran.code == 1, size
        assert "holds no certificate" in ran.stderr


def test_a_key_that_others_can_read_is_said(folder: Path) -> None:
    assert run("tls", "ca", "create").code == 0
    (folder / CA_KEY).chmod(0o644)
    ran = run("tls", "cert", "create", "-cli")
    assert (ran.code, "chmod 600" in ran.stderr) == (0, True)


def test_a_subject_of_ones_own(folder: Path) -> None:
    fields = {
        "common-name": "My CA", "country": "NL", "locality": "Delft", "organization": "O",
        "organizational-unit": "U", "postal-code": "1", "province": "ZH", "street-address": "S",
    }  # fmt: skip
    assert run("tls", "ca", "create", *(f"-{k}={v}" for k, v in fields.items())).code == 0
    shown = run("tls", "ca", "info", CA).stdout
    assert "CN=My CA,OU=U,O=O,POSTALCODE=1,STREET=S,L=Delft,ST=ZH,C=NL" in shown
