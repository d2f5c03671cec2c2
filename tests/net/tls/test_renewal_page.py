"""docs/tls.md: the commands of a renewal, as printed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from places import DOCS
from rehearsals import with_programs

from quorate.net.tls.files import TlsFiles
from quorate.net.tls.identity import read_identity

PAGE = (DOCS / "tls.md").read_text()
SERVER = "global-server-nomad"


def test_a_renewal_as_the_page_prints_it(tmp_path: Path) -> None:
    section = PAGE.partition("\n## Renewal\n")[2].partition("\n## ")[0]
    make, take = re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    servers = tmp_path / "quorate.d"
    servers.mkdir()
    first = ["quorate tls ca create", f"quorate tls cert create -server && cp {SERVER}* {servers}"]
    typed = [line.removeprefix("$ ") for line in (make + take).splitlines()]
    assert [line.split()[0] for line in typed[3:]] == [*("install",) * 2, "kill", *("quorate",) * 2]
    files = TlsFiles(
        ca_file=str(tmp_path / "nomad-agent-ca.pem"),
        cert_file=str(servers / f"{SERVER}.pem"),
        key_file=str(servers / f"{SERVER}-key.pem"),
    )
    serials = []
    for commands in (first, typed[:5]):
        script = "\n".join(["set -e", *commands]).replace("/etc/quorate.d/", str(servers))
        subprocess.run(script, shell=True, cwd=tmp_path, env=with_programs(), check=True)
        serials.append(read_identity(files).facts.serial)
    assert len(set(serials)) == 2
    assert (servers / f"{SERVER}-key.pem").stat().st_mode & 0o777 == 0o600
