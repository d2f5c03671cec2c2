"""Makes a failing plan short: fewer actions, fewer clients, fairer weather, and still the failure.

The actions are halved as in delta debugging (Zeller and Hildebrandt 2002, "ddmin"). Leaving one
thing out changes what the others run into, so a part that no longer fails is tried again with
other chances (`Plan.variant`) before it is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import process_time

from quorate.testing.sim.life import FailedLifeError, Life
from quorate.testing.sim.plans.plan import Action, Plan

VARIANTS = 3


def failure_of(plan: Plan, life: type[Life] = Life) -> FailedLifeError | None:
    """Play a plan; how it failed."""
    try:
        life(plan).run()
    except FailedLifeError as failure:
        return failure
    return None


class Shrinker:
    """Shortens the plan of `failure` for up to `seconds` of processor time.

    A failure to recover in time counts as the same only as another one of that kind.
    """

    def __init__(
        self,
        failure: FailedLifeError,
        seconds: float = 60.0,
        clock: Callable[[], float] = process_time,
        life: type[Life] = Life,
    ) -> None:
        self.best = failure
        self.tried = 0
        self._clock = clock
        self._life = life
        self._end = clock() + seconds

    def run(self) -> FailedLifeError:
        """The failure of the shortest plan found."""
        at = self.best.at
        self._try(self.best.plan.with_actions(self._until(at)))
        self._leave_out_disturbances()
        self._leave_out_actions()
        self._leave_out_disturbances()
        return self.best

    def _until(self, at: float) -> tuple[Action, ...]:
        return tuple(action for action in self.best.plan.actions if action.at <= at)

    def _try(self, plan: Plan) -> bool:
        """Play a part of the plan; True, and it is the best one, if it fails too."""
        first = self.best.plan.variant
        for variant in [first, *(v for v in range(VARIANTS) if v != first)]:
            if self._clock() > self._end:
                return False
            self.tried += 1
            failure = failure_of(replace(plan, variant=variant), self._life)
            if failure is not None and failure.progress == self.best.progress:
                self.best = failure
                return True
        return False

    def _leave_out_disturbances(self) -> None:
        for what in self.best.plan.disturbances():
            self._try(self.best.plan.without(what))

    def _leave_out_actions(self) -> None:
        parts = 2
        while self.best.plan.actions:
            actions = self.best.plan.actions
            size = max(len(actions) // parts, 1)
            for start in range(0, len(actions), size):
                rest = actions[:start] + actions[start + size :]
                if self._try(self.best.plan.with_actions(rest)):
                    parts = max(parts - 1, 2)
                    break
            else:
                if size == 1 or self._clock() > self._end:
                    return
                parts = min(parts * 2, len(actions))
