"""The errors that a caller of Quorate can meet, each with what to do next.

    QuorateError                 `text` says what happened, `next_step` what to do (may be empty)
    |- NoLeader                  nobody leads now: wait, or find out why
    |- NotLeader                 another server leads: send it there
    |- NotReady                  leads, but cannot prove it yet: try again
    |  `- CannotSealYet          has no root key as yet, or not read all of its log
    |- LeadershipLost            leadership ended under a write: it may or may not stand
    |- ApplyTimeout              a write was not confirmed in time: it may or may not stand
    |- Overloaded                too many writes wait: try again more slowly
    |- CommandTooLarge           a command over the limit: nothing was written
    |- StorageFull               the disk has no room: writes are refused, reads go on
    |- StateFull                 a write would take the state, or a namespace, beyond its bound
    |- StorageStalled            the disk does not answer
    |- LogDamaged                an entry, a snapshot or an identity on disk is not what was written
    |- StateDamaged              the state here is not that of the other servers: ask one of them
    |  `- NotBegun               and what was asked was not begun: another leader may take it
    |- NotCaughtUp               has just started, and not applied a restore yet: try again
    |- MachineHeld               an entry of the log cannot be applied here: ask another server
    |- ReplicaStopped            this replica was stopped, or has ended with an error
    |- DataFolderInUse           another process holds the data folder
    |- WrongDataFolder           the data folder belongs to another cluster, region or server
    |- WrongServers              a list of servers with which this one must not start; how it may
    |- PeerNotFound              no such server in the Raft configuration
    |- ChangeRefused             a membership change or a transfer that must not be made, with why
    |  `- ChangeOvertaken        the configuration is not what it was: decide again
    |- LevelTooLow               the cluster's feature level does not allow it: upgrade all servers
    |- KeyMissing                a value is sealed with a root key that this server does not have
    |  `- WrappingKeyMissing     its root key is wrapped with a key that this server was not given
    |- NoSuchRootKey             no root key has this ID
    |- NoSuchRole                no ACL role has this ID
    |- NoSuchNamespace           no namespace has this name
    |- SealBroken                a sealed value does not open with its key
    |- NoBackupTarget            the configuration has no target for backups
    |- NoSuchBackup              no backup of this name is listed
    |- BackupFailed              a backup could not be made, verified or deleted: see why
    |- RestoreRefused            an archive that must not be restored here, or not by this call
    |- RestoreUnknown            an archive was being restored, and may be: how to find out
    |- RestoreUnderWay           an archive is being restored: try again in a moment
    |  `- BackupAwaited          the cluster is to begin with a backup that is not restored yet
    |- PermissionDenied          the caller's token does not allow it
    |  |- TokenNotFound          no token has this secret
    |  `- TokenExpired           the token's time is over
    |- TokensNotCurrent          the leader is not heard: what tokens allow cannot be known here
    |- NoPathToRegion            no live server of that region is known
    |- GossipDisabled            the servers are a fixed list here: there is no pool to act on
    |- BadFrame                  a peer sent bytes that are no message: the connection is closed
    `- ConfigError               the agent's configuration is wrong; names file and line or key

One table in `quorate.api.status` maps them to HTTP, and `quorate.cli` to exit codes.
"""

from __future__ import annotations

from typing import Final


class QuorateError(Exception):
    """Base of all; `str()` is one line for a person, `next_step` the cure or empty."""

    def __init__(self, text: str, next_step: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.next_step = next_step

    def line(self) -> str:
        """Text and cure as one line."""
        return f"{self.text}; {self.next_step}" if self.next_step else self.text


NO_LEADER_STEP = (
    "wait for an election; GET /v1/agent/health says which voters are missing, and a read may ask "
    "with ?stale"
)


class NoLeader(QuorateError):
    """Nobody leads now."""

    def __init__(self, next_step: str = NO_LEADER_STEP) -> None:
        super().__init__("No cluster leader", next_step)


class NotLeader(QuorateError):
    """This server does not lead; `leader_id` and `leader_address` may be empty."""

    def __init__(self, leader_id: str = "", leader_address: str = "") -> None:
        super().__init__("node is not the leader", f"send it to {leader_address or 'the leader'}")
        self.leader_id = leader_id
        self.leader_address = leader_address


class NotReady(QuorateError):
    """It leads but cannot prove it yet, or has not applied an entry of its own term."""

    def __init__(self) -> None:
        super().__init__("Not ready to serve consistent reads", "try again")


class NotWritten(NotReady):
    """A setting that each new leader writes first is not in the state yet."""

    def __init__(self, text: str) -> None:
        QuorateError.__init__(self, text, "try again")


class CannotSealYet(NotReady):
    """A leader that cannot seal values yet: its first root key is to come. Nothing was begun."""

    def __init__(self) -> None:
        QuorateError.__init__(self, "values cannot be sealed yet", "try again")


_UNCONFIRMED: Final = "this write may or may not stand"
_READ_FIRST: Final = "read before you repeat it"


class LeadershipLost(QuorateError):
    """Leadership ended before the write was confirmed. It may or may not stand."""

    def __init__(self) -> None:
        super().__init__("leadership lost while committing log", _READ_FIRST)


class ApplyTimeout(QuorateError):
    """The write was not confirmed in time. It may or may not stand."""

    def __init__(self) -> None:
        super().__init__("timed out waiting for the log to commit", _READ_FIRST)


class Overloaded(QuorateError):
    """Too many writes wait to be committed; this one was not begun."""


class CommandTooLarge(QuorateError):
    """A command is larger than the replica takes; nothing was written. Sizes in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the command has {size} bytes, and the limit is {limit}",
            "store large values elsewhere and replicate a reference, or raise command_bytes_max",
        )


class StorageFull(QuorateError):
    """No room on the disk; nothing was written."""


class StateFull(QuorateError):
    """A write would take the state, or a namespace, beyond its bound; nothing was written."""


class StorageStalled(QuorateError):
    """The disk did not answer within the limit."""


class LogDamaged(QuorateError):
    """The disk holds other bytes than were written; `path` and, for entries, `index` name them."""

    def __init__(
        self,
        text: str,
        *,
        path: str,
        index: int | None = None,
        next_step: str = "keep the folder as it is; restore this server from its peers",
    ) -> None:
        super().__init__(text, next_step)
        self.path = path
        self.index = index


class StateDamaged(QuorateError):
    """The replicated state of this server is not that of a majority: it answers nothing from it.

    A write that fails with it may or may not stand; one that fails with `NotBegun` does not.
    """

    def again(self) -> StateDamaged:
        """The same, to be raised: one object for many callers would gather all their traces."""
        return StateDamaged(self.text, self.next_step)

    def refusal(self) -> NotBegun:
        """The same, for what was refused before it was begun."""
        return NotBegun(self.text, self.next_step)

    def unconfirmed(self) -> StateDamaged:
        """The same, for a write that was begun before the damage was found."""
        return StateDamaged(f"{self.text}; {_UNCONFIRMED}", _READ_FIRST)


class NotBegun(StateDamaged):
    """For the damage to its state, a leader has refused something before it was begun."""


class NotCaughtUp(QuorateError):
    """This server has just started, and has not applied entry `index` of its log, a restore."""

    def __init__(self, index: int) -> None:
        super().__init__(
            "this server has just started and not caught up with the restore of a snapshot, which "
            f"is entry {index} of its log",
            "try again, or ask another server; without a leader it cannot know whether the restore "
            "came into force",
        )


class MachineHeld(QuorateError):
    """A state machine raises it from `apply` for a command that it cannot understand.

    Applying stops at the entry before. The server votes and stores the log, but does not lead.
    """

    def again(self) -> MachineHeld:
        """The same, for another caller."""
        return MachineHeld(self.text, self.next_step)

    def unconfirmed(self) -> MachineHeld:
        """The same, for a write that was begun before."""
        return MachineHeld(f"{self.text}; {_UNCONFIRMED}", _READ_FIRST)


class ReplicaStopped(QuorateError):
    """The replica takes part no more; `__cause__` is the error that ended it, if one did."""


class DataFolderInUse(QuorateError):
    """Another process holds the data folder."""


class WrongDataFolder(QuorateError):
    """The data folder was made by another cluster, region or server."""


class WrongServers(QuorateError):
    """The servers that were named are none with which this server may found or join a cluster."""


class PeerNotFound(QuorateError):
    """No server of the Raft configuration has this id or address (`by` is "id" or "address")."""

    def __init__(self, by: str, value: str) -> None:
        super().__init__(f'{by} "{value}" was not found in the Raft configuration')
        self.by = by
        self.value = value


class ChangeRefused(QuorateError):
    """A membership change or transfer that was not begun, or ended without effect."""


class ChangeOvertaken(ChangeRefused):
    """The configuration is not the one that the change was decided by, or is about to change."""


class LevelTooLow(QuorateError):
    """A command, call or server of a feature level that the cluster has not, or that lacks it."""


class KeyMissing(QuorateError):
    """A value cannot be opened: this server does not have its root key, `key_id`."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the value is sealed with root key {key_id}, and this server does not have that key",
            "see the keys that are there: quorate operator root keyring list",
        )
        self.key_id = key_id


class WrappingKeyMissing(KeyMissing):
    """A root key cannot be unwrapped: this server was not given the key `wrapped_by`."""

    def __init__(self, key_id: str, wrapped_by: str) -> None:
        QuorateError.__init__(
            self,
            f"root key {key_id} is wrapped with key {wrapped_by}, and this server does not have "
            "that key",
            "give it to this server (server.wrapping_key_file) and start it again; or ask another "
            "server",
        )
        self.key_id = key_id
        self.wrapped_by = wrapped_by


class NoSuchRootKey(QuorateError):
    """No root key has this ID."""

    def __init__(self) -> None:
        super().__init__(
            "root key not found", "see the keys that are there: quorate operator root keyring list"
        )


class NoSuchRole(QuorateError):
    """No ACL role has this ID."""

    def __init__(self) -> None:
        super().__init__(
            "ACL role not found", "see the roles that are there: quorate acl role list"
        )


class NoSuchNamespace(QuorateError):
    """No namespace has this name; `known` are some of those that there are."""

    def __init__(self, name: str, known: str) -> None:
        super().__init__(
            f'there is no namespace "{name}", and no variable in it; there are: {known}',
            f"look at the name; or make the namespace: quorate namespace apply {name}",
        )


class SealBroken(QuorateError):
    """A sealed value is not what was sealed at its place with its key."""

    def __init__(self, namespace: str, path: str, key_id: str) -> None:
        super().__init__(
            f'the value of variable "{path}" in namespace "{namespace}" does not open with root '
            f"key {key_id}: it was changed, or sealed elsewhere",
            f"see what each server has, by -address: quorate operator api '/v1/var/{path}?stale&"
            f"namespace={namespace}'; if all say so, write it again or restore a backup",
        )


class RestoreRefused(QuorateError):
    """A restore of an archive that was not begun, or has changed nothing; the text says why."""


class RestoreUnknown(QuorateError):
    """The leader of a restore was lost, and did not say how it ended. `why` is what was seen."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}: the leader was lost during the restore, which is carried out or has changed "
            "nothing",
            "see by the same command with -dry-run whether a table other than root_keys would "
            "still change; if so restore again",
        )


class RestoreUnderWay(QuorateError):
    """An archive is being restored: what it may change cannot be written meanwhile."""

    def __init__(self) -> None:
        super().__init__("a snapshot is being restored", "try again in a moment")


class BackupAwaited(RestoreUnderWay):
    """A new cluster is to begin with a backup, and has not: `where` it is, and `why` it takes long.

    `cure` is what helps against that; both are empty while nothing has gone wrong.
    """

    def __init__(self, where: str, why: str = "", cure: str = "") -> None:
        text = "it is being restored"
        next_step = "try again in a moment"
        if why:
            text = f"it could not be restored: {why}"
            next_step = (
                f"{cure or 'look at the log of the leader'}; it is tried again by itself. To begin "
                "with nothing, remove backup.restore_from from all servers and restart them"
            )
        QuorateError.__init__(
            self,
            "variables and namespaces cannot be written yet: this cluster begins with the backup "
            f"at {where} (backup.restore_from), and {text}",
            next_step,
        )


class NoBackupTarget(QuorateError):
    """The configuration has no target for backups."""

    def __init__(self) -> None:
        super().__init__(
            "the leader has no target for backups",
            'set backup { target = "file:///..." } in the configuration of all servers',
        )


class NoSuchBackup(QuorateError):
    """No backup of this name is listed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no backup {name} is listed", "see them: quorate operator backup list")


class BackupFailed(QuorateError):
    """A backup could not be made, verified or deleted."""


class PermissionDenied(QuorateError):
    """The caller has proven who it is, or that it is anonymous, and may not do this."""

    def __init__(
        self,
        text: str = "Permission denied",
        next_step: str = "see what yours allows: quorate acl policy self; give one whose policies "
        "allow it: -token-file, X-Nomad-Token",
    ) -> None:
        super().__init__(text, next_step)


class TokenNotFound(PermissionDenied):
    """No token has the secret that was given."""

    def __init__(self) -> None:
        super().__init__(
            "ACL token not found",
            "it is wrong, or was deleted: see those that there are by quorate acl token list",
        )


class TooManyRules(PermissionDenied):
    """The policies of the caller have more rules together than a server looks at."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"Permission denied: the policies of this token have more than {most} rules together",
            "give it fewer policies, or patterns in place of names; see docs/acl.md#policies",
        )


class TokenExpired(PermissionDenied):
    """The time of the token is over."""

    def __init__(self) -> None:
        super().__init__("ACL token expired", "make another one: quorate acl token create")


class TokensNotCurrent(QuorateError):
    """This server has not heard the leader for too long to know which tokens count."""

    words = "so it cannot know whether the token still counts"
    """By these its answer is told from other answers with its status."""

    def __init__(self, silent_s: float) -> None:
        super().__init__(
            f"this server has not heard the leader for {silent_s:.0f} s, {self.words}",
            "ask a server that hears the leader; on this machine use the control socket "
            "(-address=unix://<data_dir>/control.sock)",
        )


class AuditUnwritable(QuorateError):
    """An event could not be written to the audit sink, and delivery to it is enforced."""

    def __init__(self, sink: str, why: str) -> None:
        super().__init__(
            f"the audit event cannot be written to {sink}: {why}",
            "make room for that file, or set delivery_guarantee to best-effort and restart; "
            "removals, compaction and recoveries are done all the same",
        )


class NoPathToRegion(QuorateError):
    """No live server of the region is known, or none that takes requests from this one."""

    def __init__(self, reason: str = "") -> None:
        text = "No path to region" + (f" ({reason})" if reason else "")
        super().__init__(text, "see /v1/regions for those that answer")


class NotReached(QuorateError):
    """No connection to the other server: nothing was sent, so another one may be asked."""


class ProvesNothing(NotReached):
    """The other server ends connections that ask for a proof of its ID: so do old versions."""


class GossipDisabled(QuorateError):
    """This server's membership is the fixed list of its configuration; it does not gossip."""

    def __init__(self) -> None:
        super().__init__(
            "gossip is not enabled on this server",
            "its servers are the fixed list server.initial_servers; to gossip, set server.gossip"
            ' = "on" and restart it',
        )


class BadFrame(QuorateError):
    """Bytes from a peer that are no message, or one over the limit."""


class ConfigError(QuorateError):
    """The agent configuration is wrong. The text names the file and the line or key."""
