"""The script for zsh; may be sourced after compinit or put into a folder of `fpath`."""

from __future__ import annotations

from quorate.cli.completion.words import choices, file_flags, places, written


def script() -> str:
    """The whole script."""
    known = places()
    paths = "|".join(place.at for place in known if place.at)
    cases = "\n".join(
        f"        '{place.at}') found=({' '.join((*place.words, *map(written, place.flags)))}) ;;"
        for place in known
    )
    values = "\n".join(
        f"            -{name}=*|--{name}=*) compset -P '*='; compadd -- {' '.join(words)} ;;"
        for name, words in sorted(choices().items())
    )
    files = "|".join(f"-{name}=*|--{name}=*" for name in file_flags())
    return f"""\
#compdef quorate
_quorate() {{
    local at="" i
    local -a found
    if [[ $words[CURRENT] == -*=* ]]; then
        case $words[CURRENT] in
{values}
            {files}) compset -P '*='; _files ;;
        esac
        return
    fi
    for ((i = 2; i < CURRENT; i++)); do
        case "$at/$words[i]" in
            {paths}) at="$at/$words[i]" ;;
            *) break ;;
        esac
    done
    case "$at" in
{cases}
    esac
    compadd -S '' -- ${{(M)found:#*=}}
    compadd -- ${{found:#*=}}
}}
if [[ $funcstack[1] == _quorate ]]; then
    _quorate "$@"
else
    compdef _quorate quorate
fi
"""
