"""An agent of Quorate that can be told to leave values in the clear: for a measurement alone.

`python -m bench.sealing.server agent -config ...`. At SIGUSR2 it stops sealing, and at the next one
it seals again. The product has no such switch.
"""

from __future__ import annotations

import signal
import sys

from quorate.cli.main import main
from quorate.server.secrets.sealer import Sealer
from quorate.state.tables.variables import Sealed

_SEALS = Sealer.seal_packed


def _in_the_clear(_: Sealer, namespace: str, path: str, data: bytes) -> Sealed:
    del namespace, path
    return Sealed(data)


def _turn(*_: object) -> None:
    sealing = Sealer.seal_packed is _SEALS
    Sealer.seal_packed = _in_the_clear if sealing else _SEALS  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, _turn)
    sys.exit(main())
