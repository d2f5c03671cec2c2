"""The next step for a process that is there and does not answer."""

from __future__ import annotations

from quorate.diagnosis.values import Process
from quorate.diagnosis.words import command

_STOPPED = {"T", "t"}
_LOOK = command("ps -eo pid,stat,args | grep '[q]uorate agent'")


def of_process(name: str, process: Process) -> str:
    """The next step for a process of this machine."""
    pid = process.pid
    if process.state in _STOPPED:
        return (
            f"process {pid} of {name} runs on this machine and was stopped (state "
            f"{process.state}): let it go on: {command(f'kill -CONT {pid}')}"
        )
    if process.state == "D":
        return (
            f"process {pid} of {name} runs on this machine and waits for a device (state D): look "
            f"at its disk and at the kernel's log: {command('dmesg')}"
        )
    return (
        f"process {pid} of {name} runs on this machine (state {process.state}) and does not "
        f"answer: see what it does: {command(f'ps -o pid,stat,pcpu,wchan,args -p {pid}')}; "
        "restart it, if it stays so"
    )


def elsewhere(begin: str) -> str:
    """The next step for a process that cannot be seen from here. `begin` says where to look."""
    return (
        f"{begin}: {_LOOK}; (or see what the service manager says); if it is there in state T, it "
        f"was stopped: {command('kill -CONT PID')}; in state D its disk hangs; nothing of it is "
        "lost, so do not recover by force"
    )
