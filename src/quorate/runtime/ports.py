"""The ports of a `RaftDriver`: small interfaces to its surroundings.

Production has sockets, files and threads behind them (`quorate.replica`), the simulator virtual
time (`quorate.testing.sim`). All calls are made on one thread, and so must be the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

from quorate.raft.effects import Persist, SendSnapshot
from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.messages import AnyRequest, AnyResponse, InstallSnapshotRequest

Result_co = TypeVar("Result_co", covariant=True)
"""What a state machine returns for a command."""

Write = Callable[[bytes], object]
Read = Callable[[int], bytes]
SnapshotPoint = tuple[int, int, Configuration, int]
"""Index, term, configuration and its index (`NodeState.snapshot_point`)."""


class Handle(Protocol):
    """The handle for which a caller waits; an asyncio future is one."""

    def done(self) -> bool:
        """True if it is answered, or its caller waits no more."""

    def set_result(self, result: Any, /) -> object:
        """It was done."""

    def set_exception(self, error: BaseException, /) -> object:
        """It was not done."""


class StateMachine(Protocol[Result_co]):
    """A deterministic machine: the same commands in the same order give the same state.

    `apply`, `snapshot` and `restore` run on the event loop and must be short; the function that
    `snapshot` returns and `decode_snapshot` run in a worker thread and may take their time.
    """

    def apply(self, index: int, command: bytes, /) -> Result_co:
        """Carry out one committed command; what is returned goes to the caller that proposed it.

        Must not raise for a bad command: return something that says so. A QuorateError that is
        returned is raised for that caller. Raises `MachineHeld` for a command that this version
        cannot understand: applying stops at the entry before. Any other error ends the replica.
        """

    def snapshot(self) -> Callable[[Write], object]:
        """Take a shallow copy now; the returned function writes it out, later, in a thread."""

    def decode_snapshot(self, read: Read, /) -> Any:
        """Read what was written out, in a thread. Raises LogDamaged if it is not whole."""

    def restore(self, image: Any, /) -> None:
        """Replace the state by what `decode_snapshot` returned."""


class Disk(Protocol):
    """Makes writes durable, in order, and reports each to `RaftDriver.durable`."""

    @property
    def room(self) -> object:
        """How much room there is, as text for people."""

    def submit(self, persist: Persist) -> None:
        """Make this durable after all that was submitted before."""


class Network(Protocol):
    """Carries messages. It asks `RaftDriver.objection` about each that arrives."""

    def send(self, to: Server, rpc_id: int, request: AnyRequest) -> None:
        """Then `response_received` or `request_failed`, once."""

    def reply(self, reply_to: Any, response: AnyResponse) -> None:
        """Answer the request that was given with this token."""

    def greet(self, to: Server) -> None:
        """Ask the member what it has against this start, and what starts it has seen of others.

        Then, with what it has seen durable here, `RaftDriver.greeted`, once.

        What it has against it ends the driver: it is not told by `greeted`.
        """

    def members(self, server_ids: Collection[str]) -> None:
        """The members of the committed configuration: nothing need be kept for others."""

    def close(self) -> None:
        """The driver has failed: the peers see this server go."""


class Snapshots(Protocol):
    """Stores, sends, receives and opens snapshots; everything here takes its time."""

    def take(
        self,
        point: SnapshotPoint,
        write_out: Callable[[Write], object],
        done: Callable[[BaseException | None], None],
    ) -> None:
        """Store the copy of the state machine that `write_out` writes, taken at `point`."""

    def send(self, effect: SendSnapshot, header: dict[str, Any]) -> None:
        """Send the newest; then `RaftDriver.snapshot_delivered` or `request_failed`."""

    def receive(
        self, reply_to: Any, request: InstallSnapshotRequest, done: Callable[[bool], None]
    ) -> None:
        """Store the body that follows the request; True if that is done."""

    def restore(self, index: int, term: int, done: Callable[[Any], None]) -> None:
        """Decode the stored snapshot of this index and term, and give the image.

        What cannot be read goes to `RaftDriver.fail`.
        """
