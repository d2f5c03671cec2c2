"""The script for bash (3.2 and later)."""

from __future__ import annotations

from quorate.cli.completion.words import choices, file_flags, places, written


def script() -> str:
    """The whole script."""
    known = places()
    paths = "|".join(place.at for place in known if place.at)
    cases = "\n".join(
        f'        "{place.at}") words="{" ".join((*place.words, *map(written, place.flags)))}" ;;'
        for place in known
    )
    values = "\n".join(
        f'            {_either(name)}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$cur")) ;;'
        for name, words in sorted(choices().items())
    )
    files = "|".join(_either(name) for name in file_flags())
    return f"""\
# bash completion for quorate
_quorate() {{
    local IFS=$' \\t\\n' cur="${{COMP_WORDS[COMP_CWORD]}}" at="" flag="" words="" i
    local before="${{COMP_WORDS[COMP_CWORD-1]}}"
    COMPREPLY=()
    # bash gives "-name=value" as three words: find out whether we are behind the equal sign.
    if [[ $cur == "=" ]]; then
        flag=$before cur=""
    elif [[ $before == "=" && COMP_CWORD -ge 2 ]]; then
        flag="${{COMP_WORDS[COMP_CWORD-2]}}"
    fi
    if [[ -n $flag ]]; then
        case "$flag" in
{values}
            {files}) IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$cur")) ;;
        esac
        return 0
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at/${{COMP_WORDS[i]}}" in
            {paths}) at="$at/${{COMP_WORDS[i]}}" ;;
            *) break ;;
        esac
    done
    case "$at" in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}}
complete -F _quorate quorate
"""


def _either(name: str) -> str:
    return f"-{name}|--{name}"
