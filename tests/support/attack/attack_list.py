"""All attacks, by name."""

from __future__ import annotations

from attack_http import HTTP
from attack_values import Attack

_ALL: list[Attack] = [*HTTP]

ATTACKS: dict[str, Attack] = {
    attack.name: attack for attack in sorted(_ALL, key=lambda attack: attack.lasting)
}
assert len(ATTACKS) == len(_ALL)
