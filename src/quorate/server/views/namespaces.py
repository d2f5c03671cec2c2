"""A namespace as it is shown, by the API and in events."""

from __future__ import annotations

from base64 import b64encode

from quorate.shapes import namespaces as shapes
from quorate.state.tables.namespaces import Namespace


def shown(namespace: Namespace) -> shapes.Namespace:
    """Its shape."""
    given = namespace.capabilities
    return shapes.Namespace(
        capabilities=None
        if given is None
        else shapes.NamespaceCapabilities(
            disabled_task_drivers=given.disabled_task_drivers,
            enabled_task_drivers=given.enabled_task_drivers,
        ),
        create_index=namespace.create_index,
        description=namespace.description,
        hash=b64encode(namespace.content_hash()).decode(),
        meta=dict(namespace.meta) or None,
        modify_index=namespace.modify_index,
        name=namespace.name,
        quota=namespace.quota,
    )
