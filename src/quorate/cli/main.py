"""The program: words in, exit code out (docs/cli.md#rules).

Exit codes: 0 good, 1 any error, 127 no such command, 130 stopped by Ctrl-C, 141 the reader of our
output went away. A mistake of the user never ends in a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from quorate.agent.signals import PROCESS
from quorate.cli.command import Command, resolve
from quorate.cli.flags import HelpRequested, Parsed, UsageError, parse
from quorate.cli.registry.index import BY_PATH, GROUP_BY_PATH, words_below
from quorate.cli.text.output import Output
from quorate.cli.text.streams import drop_output, open_standard_streams, spare_poor_terminals

UNKNOWN_COMMAND = 127
INTERRUPTED = 130
BROKEN_PIPE = 141
NO_LEADER = "No cluster leader"
NO_LEADER_STEP = "wait for an election; `quorate operator diagnose` says why there is no leader"
HELP = frozenset({"-h", "-help", "--help", "help"})
VERSION = frozenset({"-v", "-version", "--version"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name; default: that of the process)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["agent"]:
        PROCESS.install()
    open_standard_streams()
    spare_poor_terminals()
    out = Output(sys.stdout, sys.stderr, os.environ)
    try:
        code = _dispatch(words, out)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return BROKEN_PIPE
    except OSError as error:  # what commands do to files and sockets they handle themselves
        with suppress(OSError):
            out.error(f"Error: cannot write the output: {error.strerror or error}")
        drop_output()
        return 1
    return code


def _dispatch(words: list[str], out: Output) -> int:
    path, rest = _walk(words)
    command = BY_PATH.get(path)
    if command is not None:
        return _run(command, rest, out)
    from quorate.cli.help import group_help, root_help

    text = group_help(GROUP_BY_PATH[path]) if path else root_help()
    if rest and rest[0] in HELP:
        out.line(text)
        return 0
    if not path and rest and rest[0] in VERSION:
        return _run(BY_PATH["version",], [], out)
    out.line(text)
    if rest and not rest[0].startswith("-"):
        _suggest(path, rest[0], out)
    return 1 if path else UNKNOWN_COMMAND


def _walk(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The longest known beginning of the words, and what follows it."""
    path: tuple[str, ...] = ()
    for count, word in enumerate(words, start=1):
        longer = (*path, word)
        if longer in BY_PATH:
            return longer, words[count:]
        if longer not in GROUP_BY_PATH:
            break
        path = longer
    return path, words[len(path) :]


def _suggest(path: tuple[str, ...], word: str, out: Output) -> None:
    from difflib import get_close_matches

    close = get_close_matches(word, words_below(path), n=1)
    if close:
        meant = " ".join(("quorate", *path, close[0]))
        out.error(f"There is no '{word}' here. Did you mean '{meant}'?")
    elif path:
        out.error(f"There is no '{word}' in 'quorate {' '.join(path)}'; its words are listed above")
    else:  # where today's program leaves standard error empty
        out.line(f"\nThere is no command '{word}'")


def _run(command: Command, argv: list[str], out: Output) -> int:
    try:
        flags = parse(command.all_flags(), argv)
    except HelpRequested:
        out.line(_help(command))
        return 0
    except UsageError as error:
        _explain_usage(command, str(error), out)
        return 1
    if flags.on("no-color") or flags.on("force-color"):
        out.colour = not flags.on("no-color")
    _warn_of_secrets(command, flags, out)
    wrong = _wrong_words(command, flags)
    if wrong:
        out.error(wrong)
        out.error(f"For additional help try '{command.name} -help'")
        return 1
    return _execute(command, flags, out)


def _warn_of_secrets(command: Command, flags: Parsed, out: Output) -> None:
    """A command line is seen by all users of the machine, and kept in histories of shells."""
    for flag in command.all_flags():
        if flag.instead and flag.name in flags.values:
            out.hint(f"others can see a secret given by -{flag.name}: give {flag.instead}")


def _explain_usage(command: Command, error: str, out: Output) -> None:
    out.error(error)
    if command.path == ("agent",):  # its stdout is for what a running agent says
        out.error(f"==> {_help(command)}")
        return
    out.line(_help(command))
    if command.path[0] == "operator":
        out.error(f"Failed to parse args: {error}")


def _wrong_words(command: Command, flags: Parsed) -> str:
    """What is wrong with the arguments, or empty."""
    if flags.on("json") and "t" in flags.values:
        return "Give either -json or -t, not both"
    if "token" in flags.values and "token-file" in flags.values:
        return "Give either -token or -token-file, not both"
    if command.args is not None:
        least, most = command.args
        if not least <= len(flags.args) <= most:
            return command.args_text
    return ""


def _execute(command: Command, flags: Parsed, out: Output) -> int:
    from quorate.cli.context import Context, Failure

    context = Context(command, flags, out, os.environ, sys.stdin)
    try:
        context.check_template()
        code: int = resolve(command.run)(context)
    except Failure as failure:
        if NO_LEADER not in failure.text:
            out.error(failure.text, failure.next_step)
            return failure.code
        out.error(failure.text)
        if out.hints:
            why = context.why_no_leader()
            out.hint(f"{why}; {_next_step(command)}" if why else _next_step(command))
        return failure.code
    return code


def _next_step(command: Command) -> str:
    """What helps without a leader, by the options of this command."""
    reads = any(flag.name == "stale" for flag in command.all_flags())
    return NO_LEADER_STEP + ("; -stale shows what this agent alone knows" if reads else "")


def _help(command: Command) -> str:
    from quorate.cli.help import command_help

    return command_help(command)


if __name__ == "__main__":
    sys.exit(main())
