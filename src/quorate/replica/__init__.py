"""One Raft replica at run time: drives the pure core with sockets, disks and clocks (asyncio).

`serve` starts one inside a service of yours; `Replica.propose` replicates a command,
`Replica.read_barrier` makes the next read of your state machine linearizable.
"""

from quorate.replica.options import Options
from quorate.replica.replica import Replica
from quorate.replica.serve import serve
from quorate.runtime.ports import Read, StateMachine, Write

__all__ = ["Options", "Read", "Replica", "StateMachine", "Write", "serve"]
