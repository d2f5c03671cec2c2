"""The identity of this cluster: one record, written once after bootstrap and never again.

Invariant: the cluster ID never changes. The first command wins; a second, from a leader that
had not yet applied the first, changes nothing and learns the ID in force.
"""

from __future__ import annotations

from typing import ClassVar, Final

from quorate.state.engine.table import SINGLETON, Command, OnRestore, Reader, Record, Table, Tables


class ClusterMetadata(Record, frozen=True, kw_only=True):
    """The identity that every join and message of ours carries."""

    cluster_id: str


class SetClusterMetadata(Command, frozen=True, kw_only=True):
    """Name the cluster, unless it has a name. Result: the ID in force afterwards."""

    TYPE: ClassVar[int] = 4

    cluster_id: str

    def apply(self, tables: Tables, index: int) -> str:
        """See the class."""
        known = tables.get(TABLE, SINGLETON)
        if known is not None:
            return known.cluster_id
        tables.put(TABLE, SINGLETON, ClusterMetadata(cluster_id=self.cluster_id), index)
        return self.cluster_id


TABLE: Final = Table(
    name="cluster_metadata",
    record=ClusterMetadata,
    on_restore=OnRestore.KEPT,
    commands=(SetClusterMetadata,),
)


def current(reader: Reader) -> ClusterMetadata | None:
    """The metadata, or None before bootstrap was replicated."""
    return reader.get(TABLE, SINGLETON)
