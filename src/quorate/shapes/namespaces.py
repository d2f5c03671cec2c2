"""A namespace as the API shows it (docs/namespaces.md)."""

from __future__ import annotations

from typing import Any

import msgspec


class NamespaceCapabilities(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Task drivers that its jobs may or may not use."""

    disabled_task_drivers: tuple[str, ...] | None = None
    enabled_task_drivers: tuple[str, ...] | None = None


class Namespace(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One namespace. Hash and indexes are the server's; `node_pool_configuration` is always null.

    `hash` is base64 of 32 bytes that change with anything but the indexes.
    """

    capabilities: NamespaceCapabilities | None = None
    create_index: int = 0
    description: str = ""
    hash: str = ""
    meta: dict[str, str] | None = None
    modify_index: int = 0
    name: str = ""
    node_pool_configuration: dict[str, Any] | None = None
    quota: str = ""
