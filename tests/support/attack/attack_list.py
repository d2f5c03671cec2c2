"""All attacks, by name; those that leave something behind come last."""

from __future__ import annotations

from attack_gossip import GOSSIP
from attack_http import HTTP
from attack_rpc import RPC
from attack_socket import CONTROL
from attack_tls import TLS
from attack_values import Attack

_ALL: list[Attack] = [*HTTP, *RPC, *CONTROL, *GOSSIP, *TLS]

ATTACKS: dict[str, Attack] = {
    attack.name: attack for attack in sorted(_ALL, key=lambda attack: attack.lasting)
}
assert len(ATTACKS) == len(_ALL)
