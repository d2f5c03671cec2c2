"""`quorate operator metrics` (docs/cli.md#commands)."""

from __future__ import annotations

import json

from quorate.cli.context import Context, Failure, doing


def run(context: Context) -> int:
    """Print the metrics as the agent gives them, or as JSON or by a template."""
    flags = context.flags
    form = flags.text("format")
    parsed = flags.on("json") or "t" in flags.values
    if parsed and form == "prometheus":
        raise Failure(
            "Error getting metrics: -json and -t do not go with -format=prometheus",
            "leave out -format",
        )
    with context.client() as client, doing("Error getting metrics: "):
        text = client.metrics_text(form=form, pretty=flags.on("pretty"))
    if not parsed:
        context.out.raw(text)
        return 0
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Failure(f"Error getting metrics: the answer is no JSON: {error}") from error
    return context.show(data, lambda: None)
