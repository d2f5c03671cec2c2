"""`quorate dev -tls`: certificates, a gossip key and a first token for a cluster on this machine.

All of it lies in the data folder, in `tls` and `token`, readable by its owner alone. The servers
are looked at over their control sockets, so the token is needed by nobody here.
"""

from __future__ import annotations

import base64
import os
import secrets
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from quorate.certificates.authority import make_authority
from quorate.certificates.issue import Authority, Holder
from quorate.certificates.names import Role
from quorate.certificates.reading import authority_key, certificates_in
from quorate.cli.commands.tls.saved import save
from quorate.cli.context import Failure
from quorate.cli.dev.plan import ServerPlan, by_region
from quorate.client import Client, ClientError
from quorate.given_files import content

SOCKET_BYTES_MAX: Final = 107
"""Of the path of a control socket (`sun_path` of Linux, without its final zero)."""

BOOTSTRAP_S: Final = 20.0
_LOOK_AGAIN_S: Final = 0.2
_TOKEN_BYTES_MAX: Final = 256
_KEY_BYTES: Final = 32


class Files(NamedTuple):
    """The files of a secured cluster in its data folder."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate that servers and clients trust."""
        return self.folder / "tls" / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """Its key."""
        return self.folder / "tls" / "ca-key.pem"

    def certificate(self, holder: str) -> Path:
        """The certificate of a region's servers, or of the command line (`cli`)."""
        return self.folder / "tls" / f"{holder}.pem"

    def key(self, holder: str) -> Path:
        """Its key."""
        return self.folder / "tls" / f"{holder}-key.pem"

    @property
    def token(self) -> Path:
        """The secret of a token of management."""
        return self.folder / "token"


def prepare(folder: Path, servers: Sequence[ServerPlan]) -> None:
    """Make what is not there yet: an authority, certificates, the secret of the first token.

    Raises Failure where a control socket would have too long a path.
    """
    for server in servers:
        if len(os.fsencode(server.control_socket)) > SOCKET_BYTES_MAX:
            raise Failure(
                f"Error: the path {server.control_socket} is too long for a socket",
                "give a shorter -data-dir",
            )
    files = Files(folder)
    files.authority.parent.mkdir(mode=0o700, exist_ok=True)
    now = datetime.now(UTC)
    if not files.authority.exists():
        save(make_authority(now), files.authority, files.authority_key)
    signer = Authority(certificates_in(files.authority)[0], authority_key(files.authority_key))
    holders = {region: Holder(role=Role.SERVER, region=region) for region in by_region(servers)}
    holders["cli"] = Holder(role=Role.CLI)
    for name, holder in holders.items():
        if not files.certificate(name).exists():
            save(signer.issue(holder, now), files.certificate(name), files.key(name))
    if not files.token.exists():
        descriptor = os.open(files.token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{uuid.uuid4()}\n")


def new_gossip_key() -> str:
    """A key for the gossip of all servers, as a configuration has it."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def settings(folder: Path, server: ServerPlan, gossip_key: str) -> dict[str, Any]:
    """The blocks that the configuration of a server has in addition."""
    files = Files(folder)
    return {
        "acl": {"enabled": True},
        "tls": {
            "http": True,
            "rpc": True,
            "verify_server_hostname": True,
            "verify_https_client": True,
            "ca_file": str(files.authority),
            "cert_file": str(files.certificate(server.region)),
            "key_file": str(files.key(server.region)),
        },
        "server": {"encrypt": gossip_key},
    }


def bootstrap(folder: Path, servers: Sequence[ServerPlan]) -> None:
    """Make the secret in the file that of a token of management, in each region.

    Raises Failure where that does not come about in time.
    """
    secret = content(Files(folder).token, _TOKEN_BYTES_MAX).decode().strip()
    for region, theirs in by_region(servers).items():
        deadline = time.monotonic() + BOOTSTRAP_S
        while (why := _bootstrapped(theirs[0], secret)) and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_S)
        if why:
            raise Failure(
                f"Error: region {region} has no first token: {why}",
                f"see {theirs[0].log}; then: quorate acl bootstrap {Files(folder).token} "
                f"-address={theirs[0].asked_at}",
            )


def _bootstrapped(server: ServerPlan, secret: str) -> str:
    """Empty, or why the token is not there as yet."""
    try:
        with Client(server.asked_at, timeout_s=BOOTSTRAP_S) as client:
            client.bootstrap_acl(secret)
    except ClientError as error:
        text = str(error)
        return "" if "bootstrap already done" in text else text
    return ""


def variables(folder: Path, servers: Sequence[ServerPlan]) -> list[str]:
    """The lines to copy before the commands of the guide."""
    files = Files(folder)
    values = {
        "QUORATE_ADDR": servers[0].http_address,
        "QUORATE_CACERT": files.authority,
        "QUORATE_CLIENT_CERT": files.certificate("cli"),
        "QUORATE_CLIENT_KEY": files.key("cli"),
        "QUORATE_TOKEN_FILE": files.token,
    }
    return [f"export {name}={value}" for name, value in values.items()]
