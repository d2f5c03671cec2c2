"""The script for fish (3.1 and later)."""

from __future__ import annotations

from quorate.cli.completion.words import FILES, Place, places, summaries
from quorate.cli.flags import Flag


def script() -> str:
    """The whole script."""
    known = places()
    paths = " ".join(f"'{place.at}'" for place in known if place.at)
    lines = "\n".join(line for place in known for line in _lines(place))
    return f"""\
# fish completion for quorate
function __quorate_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        switch "$at/$word"
            case {paths}
                set at "$at/$word"
            case '*'
                break
        end
    end
    test "$at" = "$argv[1]"
end
complete -c quorate -f
{lines}
"""


def _lines(place: Place) -> list[str]:
    start = f"complete -c quorate -n '__quorate_at \"{place.at}\"'"
    about = summaries()
    words = [
        f"{start} -a {word} -d {_quoted(about.get(f'{place.at}/{word}', ''))}"
        for word in place.words
    ]
    return words + [f"{start} {_option(flag)}" for flag in place.flags]


def _option(flag: Flag) -> str:
    option = f"-o {flag.name} -d {_quoted(flag.help.split('. ')[0].rstrip('.'))}"
    if flag.kind == "bool":
        return option
    if flag.choices:
        return f"{option} -x -a {_quoted(' '.join(flag.choices))}"
    return f"{option} -r -F" if flag.value in FILES else f"{option} -x"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
