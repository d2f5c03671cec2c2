"""Traces in TLA+, as the module that spec/Trace.tla reads."""

from __future__ import annotations

from collections.abc import Iterable

from spec_recorder import Item, Step, Trace, members_of


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(f'"{name}"' for name in names) + "}"


def _item(item: Item) -> str:
    if not item.voters:
        return f"<<{item.term}>>"
    return f"<<{item.term},{_set(item.voters)},{_set(item.others)}>>"


def _step(step: Step) -> str:
    before, after = step.before.log, step.after.log
    keep = 0
    while keep < min(len(before), len(after)) and before[keep] == after[keep]:
        keep += 1
    state = step.after
    seen = ",".join(_set(names) for names in step.configuration or ())
    added = ",".join(_item(item) for item in after[keep:])
    return (
        f'<<"{step.what}","{step.server}",{step.term},"{step.by}",{step.up_to},{step.known},'
        f'{state.term},"{state.vote}","{state.role}",{state.commit},{keep},<<{added}>>,<<{seen}>>>>'
    )


def module(name: str, traces: list[Trace]) -> str:
    """The text of a module that is Trace with these `Lives`."""
    lives = []
    for trace in traces:
        voters, others = members_of(trace.founders)
        steps = ",\n".join(_step(step) for step in trace.steps)
        lives.append(
            f"[voters |-> {_set(voters)}, others |-> {_set(others)}, steps |-> <<\n{steps} >>]"
        )
    body = ",\n".join(lives)
    return (
        f"---- MODULE {name} ----\nEXTENDS Membership\nVARIABLES trace, at\n"
        f"Lives == <<\n{body} >>\nINSTANCE Trace\n====\n"
    )


def settings(traces: list[Trace]) -> str:
    """The configuration that TLC needs for it."""
    servers = {step.server for trace in traces for step in trace.steps}
    for trace in traces:
        servers |= {s.id for s in trace.founders.servers}
        servers |= {v for step in trace.steps for i in step.after.log for v in i.voters + i.others}
    terms = max(step.after.term for trace in traces for step in trace.steps)
    return (
        f"CONSTANTS\n    Server = {_set(sorted(servers))}\n    Founders = {{}}\n"
        f'    Nobody = ""\n    MaxTerm = {terms}\n    MaxLog = 0\n    DiskLags = TRUE\n'
        "    Broken = {}\nINIT TraceInit\nNEXT TraceNext\n"
        "INVARIANT RightAtTheEnd\n"
    )
