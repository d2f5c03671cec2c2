"""Attacks for a moment each, on one cluster and one with TLS.

`make attack` runs them for seconds, with controls. The everyday suite runs what harmed the first
version, and some more; the rest is long.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attack_cluster import AttackedServers, attacked
from attack_list import ATTACKS
from attack_run import measure
from attack_worker import Worker

pytestmark = pytest.mark.process

SECONDS = 0.25
TRIES = 3
"""A machine that is busy with other tests costs leaders, and caches, and so CPU time."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.end()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedServers]:
    with attacked(tmp_path_factory.mktemp("attacked")) as found:
        yield found


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedServers]:
    with attacked(tmp_path_factory.mktemp("attacked"), tls=True) as found:
        yield found


CASES = [
    pytest.param(name, marks=() if attack.before or attack.everyday else pytest.mark.long)
    for name, attack in ATTACKS.items()
]


@pytest.mark.parametrize("name", CASES)
def test_an_attack_stays_within_its_bounds(
    name: str, request: pytest.FixtureRequest, worker: Worker
) -> None:
    attack = ATTACKS[name]
    servers: AttackedServers = request.getfixturevalue("with_tls" if attack.tls else "plain")
    problems: list[str] = []
    for _ in range(TRIES):
        problems = measure(servers, worker, attack, SECONDS).problems(attack)
        if not problems:
            return
    raise AssertionError(f"{name}: {'; '.join(problems)}")
