"""A command as data: words, help, options, and where its code is.

The table of commands (`quorate.cli.registry.index`) is made of these; dispatch, help, completion
and the reference page all read it, so they cannot disagree. A command's code is imported when it
is run, never for help.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from quorate.cli.flags import Flag

GENERAL = (
    Flag("address", "string", "Address of the agent: http://, https:// or unix://. "
         "Variable QUORATE_ADDR or NOMAD_ADDR; default http://127.0.0.1:4646.", "addr"),
    Flag("region", "string", "Region to ask. Variable QUORATE_REGION or NOMAD_REGION; default "
         "the agent's own.", "region"),
    Flag("namespace", "string", "Namespace of the request. Variable QUORATE_NAMESPACE or "
         "NOMAD_NAMESPACE.", "namespace"),
    Flag("token", "string", "Secret ID of the ACL token; other users of this machine can see it. "
         "Variable QUORATE_TOKEN or NOMAD_TOKEN.", "token", instead="-token-file=<file>"),
    Flag("token-file", "string", "File with the secret ID of the ACL token. Variable "
         "QUORATE_TOKEN_FILE or NOMAD_TOKEN_FILE.", "file"),
    Flag("ca-cert", "string", "PEM file of the authority to trust. Variable QUORATE_CACERT or "
         "NOMAD_CACERT.", "file"),
    Flag("ca-path", "string", "Folder of PEM files of authorities to trust. Variable "
         "QUORATE_CAPATH or NOMAD_CAPATH.", "folder"),
    Flag("client-cert", "string", "PEM file of our certificate. Variable QUORATE_CLIENT_CERT or "
         "NOMAD_CLIENT_CERT.", "file"),
    Flag("client-key", "string", "PEM file of our key. Variable QUORATE_CLIENT_KEY or "
         "NOMAD_CLIENT_KEY.", "file"),
    Flag("tls-server-name", "string", "Name that the agent's certificate must bear, if not the "
         "address's. Variable QUORATE_TLS_SERVER_NAME or NOMAD_TLS_SERVER_NAME.", "name"),
    Flag("tls-skip-verify", "bool", "Do not check the agent's certificate. Variable "
         "QUORATE_SKIP_VERIFY or NOMAD_SKIP_VERIFY."),
    Flag("insecure", "bool", "The same as -tls-skip-verify."),
    Flag("no-color", "bool", "No colours. Variable QUORATE_CLI_NO_COLOR or NOMAD_CLI_NO_COLOR."),
    Flag("force-color", "bool", "Colours even if the output is no terminal. Variable "
         "QUORATE_CLI_FORCE_COLOR or NOMAD_CLI_FORCE_COLOR."),
)  # fmt: skip
"""Options of every command that talks to an agent."""

FORMS = (
    Flag("json", "bool", "Print the agent's answer as JSON."),
    Flag("t", "string", "Print the answer by a Go template, such as '{{.Index}}'.", "template"),
)
"""Options of every command that prints a table or a block."""


class Example(NamedTuple):
    """A line to try, and what it does."""

    line: str
    does: str


class Command(NamedTuple):
    """One command.

    `run` is "module:function", called with a `quorate.cli.context.Context` and returning the
    exit code. `args` is how many arguments it takes, least and most, or None where they are not
    looked at; `args_text` says so to a person. `flags_from` is "module:function" for options
    that another package declares.
    """

    path: tuple[str, ...]
    summary: str
    description: str
    run: str
    flags: tuple[Flag, ...] = ()
    examples: tuple[Example, ...] = ()
    args: tuple[int, int] | None = (0, 0)
    args_text: str = "This command takes no arguments"
    usage: str = "[options]"
    general: bool = True
    flags_from: str = ""
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The words to type, with the program's name."""
        return " ".join(("quorate", *self.path))

    def own_flags(self) -> tuple[Flag, ...]:
        """The options of this command alone."""
        if not self.flags_from:
            return self.flags
        declared: tuple[Flag, ...] = resolve(self.flags_from)()
        return self.flags + declared

    def all_flags(self) -> tuple[Flag, ...]:
        """All options it takes; of two with one name the last one counts."""
        return (GENERAL if self.general else ()) + self.own_flags()

    def shown_flags(self) -> tuple[Flag, ...]:
        """The options of this command alone that help shows."""
        return tuple(flag for flag in self.own_flags() if not flag.hidden)


class Group(NamedTuple):
    """A word that has commands below it."""

    path: tuple[str, ...]
    summary: str
    description: str
    example: str


def resolve(reference: str) -> Any:
    """The function that "module:function" names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
