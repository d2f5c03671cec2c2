"""The survivors of a cluster, compared: which is the most advanced, and who is left out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quorate.errors import WrongDataFolder
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.recovery.looking.summary import FolderSummary, Member


class Survivors(msgspec.Struct, frozen=True):
    """Folders of one cluster, the most advanced first, and the members that have none among them.

    The most advanced is the one whose last entry has the highest term, and then the highest index:
    what any of them knows to be committed, it has (Raft 5.4).
    """

    folders: tuple[FolderSummary, ...]
    left_out: tuple[Member, ...]

    @property
    def best(self) -> FolderSummary:
        """The most advanced."""
        return self.folders[0]

    @property
    def may_decide(self) -> bool:
        """True if those that are left out could be a majority of the voters without them."""
        voters = sum(member.voter for member in self.best.members.servers)
        return 2 * sum(member.voter for member in self.left_out) > voters

    @property
    def older(self) -> tuple[FolderSummary, ...]:
        """Those whose last entry is of an older term than that of the most advanced one.

        Such an entry may never have been committed. A server that is recovered by a list takes all
        of its log for committed, so it would be refused by the others.
        """
        return tuple(each for each in self.folders if _is_older(each, self.best))

    def configuration(self) -> Configuration:
        """The servers of a peers.json, with their addresses and votes: all but the older ones.

        The most advanced one has a vote in any case: the others would lead without what it alone
        has.
        """
        known = {member.id: member for member in self.best.members.servers}
        servers = []
        named = [each for each in self.folders if each not in self.older]
        for folder in sorted(named, key=lambda each: each.server_id):
            member = known[folder.server_id]
            votes = member.voter or folder is self.best
            suffrage = Suffrage.VOTER if votes else Suffrage.NONVOTER
            servers.append(Server(member.id, member.address, suffrage, member.key))
        return Configuration(tuple(servers))


def _is_older(folder: FolderSummary, best: FolderSummary) -> bool:
    return folder.reach[0] < best.reach[0]


def compare(found: Sequence[FolderSummary]) -> Survivors:
    """The survivors whose folders these are. Raises WrongDataFolder if they are not of one cluster.

    They are of one epoch as well, each is another server, and each a member.
    """
    folders = tuple(sorted(found, key=lambda each: each.reach, reverse=True))
    best = folders[0]
    for each in folders:
        for what, ours, theirs in (
            ("kind", best.kind, each.kind),
            ("cluster", best.cluster_id, each.cluster_id),
            ("region", best.region, each.region),
            ("epoch", str(best.epoch), str(each.epoch)),
        ):
            if ours != theirs:
                raise WrongDataFolder(
                    f"{each.path} is of {what} {theirs or '(none)'}, {best.path} of {ours}",
                    "name the folders of one cluster alone",
                )
    by_id: dict[str, FolderSummary] = {}
    members = {member.id for member in best.members.servers}
    for each in folders:
        if each.server_id in by_id:
            other = by_id[each.server_id].path
            raise WrongDataFolder(
                f"{other} and {each.path} are both of server {each.server_id}",
                "one is a copy: name the one that was used last",
            )
        if not each.server_id or each.server_id not in members:
            raise WrongDataFolder(
                f"{each.path} is of server {each.server_id or '(without ID)'}, which is no member "
                f"of the configuration that {best.path} has",
                "leave it out; it can join when there is a leader",
            )
        by_id[each.server_id] = each
    left_out = tuple(member for member in best.members.servers if member.id not in by_id)
    return Survivors(folders, left_out)
