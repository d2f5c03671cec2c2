"""The commands below `acl` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example, Group
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.acl."
ACCESSOR = "This command takes one argument: <accessor_id>"
ROLE = "This command takes one argument: <acl_role_id>"
NAME = "This command takes one argument: <name>"

_TYPES = ("client", "management")
_OF_TOKENS = (
    Flag("name", "string", "Name, for people.", "name"),
    Flag("type", "string", "client (by policies and roles) or management (all). Default client.",
         "type", _TYPES),
    Flag("policy", "list", "A policy by its name; may be repeated.", "name"),
    Flag("role-name", "list", "A role by its name; may be repeated.", "name"),
    Flag("role-id", "list", "A role by its ID; may be repeated.", "id"),
    Flag("global", "bool", "Replicate the token to all regions."),
)  # fmt: skip
_OF_ROLES = (
    Flag("name", "string", "Name, unique among roles.", "name"),
    Flag("description", "string", "Description, for people.", "text"),
    Flag("policy", "list", "A policy by its name; may be repeated.", "name"),
)

ACL = (
    Command(
        ("acl", "bootstrap"),
        "Make the first management token",
        "Makes the first management token, once, and shows its secret. With a file (or - for what "
        "is piped in) the UUID in it becomes the secret. Where no secret is given the server may "
        "ask for the call to come over its control socket or from its own machine.",
        MODULE + "tokens:bootstrap",
        FORMS,
        (
            Example("quorate acl bootstrap", "the secret is made by the server"),
            Example("quorate acl bootstrap secret.txt", "the secret is that of a file"),
        ),
        args=(0, 1),
        args_text="This command takes no arguments or one: <file or ->",
        usage="[options] [<file or ->]",
    ),
    Command(
        ("acl", "transition"),
        "The way from no ACL to ACL",
        "Shows how the transition stands at the server asked: whether it is in force, and how many "
        "requests would have been refused, by the accessor of their token. -end ends it on all "
        "servers; -resume lets their configurations decide again.",
        MODULE + "transition:transition",
        (
            Flag("end", "bool", "Refuse from now on what a token does not allow."),
            Flag("resume", "bool", "The way back."),
            *FORMS,
        ),
        (
            Example("quorate acl transition", "which requests still come without a token?"),
            Example("quorate acl transition -end", "none"),
        ),
    ),
    Command(
        ("acl", "policy", "apply"),
        "Write a policy",
        "Writes a policy of a file (or - for what is piped in) in HCL or JSON, in place of one of "
        "that name. What it may say is in docs/acl.md.",
        MODULE + "policies:apply",
        (Flag("description", "string", "Description, for people.", "text"),),
        (
            Example(
                "quorate acl policy apply -description='may back up' backup backup.hcl", "a file"
            ),
        ),
        args=(2, 2),
        args_text="This command takes two arguments: <name> and <path>",
        usage="[options] <name> <file or ->",
    ),
    Command(
        ("acl", "policy", "list"),
        "List policies",
        "Lists the policies: all of them with a management token, else those of the token.",
        MODULE + "policies:list_all",
        FORMS,
        (Example("quorate acl policy list", "which are there?"),),
    ),
    Command(
        ("acl", "policy", "info"),
        "Show a policy",
        "Shows a policy with its rules.",
        MODULE + "policies:info",
        FORMS,
        (Example("quorate acl policy info -t '{{.Rules}}' backup", "only its text"),),
        args=(1, 1),
        args_text=NAME,
        usage="[options] <name>",
    ),
    Command(
        ("acl", "policy", "delete"),
        "Delete a policy",
        "Deletes a policy. Tokens and roles that name it have no rights by it any more; one that "
        "is not there is no error.",
        MODULE + "policies:delete",
        (),
        (Example("quorate acl policy delete backup", "it is no longer used"),),
        args=(1, 1),
        args_text=NAME,
        usage="[options] <name>",
    ),
    Command(
        ("acl", "policy", "self"),
        "List the policies of your token",
        "Lists the policies of the token that is used, those of its roles too.",
        MODULE + "policies:of_self",
        FORMS,
        (Example("quorate acl policy self", "what may this token do?"),),
    ),
    Command(
        ("acl", "token", "create"),
        "Make a token",
        "Makes a token and shows its secret, which is needed to use it.",
        MODULE + "tokens:create",
        (
            *_OF_TOKENS,
            Flag(
                "ttl",
                "string",
                "Time until it ends by itself, such as 8h. Default: never.",
                "duration",
            ),
            *FORMS,
        ),
        (
            Example("quorate acl token create -name=cron -policy=backup", "for one purpose"),
            Example(
                "quorate acl token create -type=management -ttl=8h", "all rights, for eight hours"
            ),
        ),
    ),
    Command(
        ("acl", "token", "list"),
        "List tokens",
        "Lists the tokens, without their secrets.",
        MODULE + "tokens:list_all",
        FORMS,
        (Example("quorate acl token list", "which are there, and which are over?"),),
    ),
    Command(
        ("acl", "token", "info"),
        "Show a token",
        "Shows a token with its secret, by its accessor ID.",
        MODULE + "tokens:info",
        FORMS,
        (Example("quorate acl token info 90f09f3d-0113-a71e-3ab0-4cd849969ea1", "one"),),
        args=(1, 1),
        args_text=ACCESSOR,
        usage="[options] <accessor_id>",
    ),
    Command(
        ("acl", "token", "self"),
        "Show your token",
        "Shows the token that is used, by -token, -token-file or a variable.",
        MODULE + "tokens:of_self",
        FORMS,
        (Example("quorate acl token self", "which am I using?"),),
    ),
    Command(
        ("acl", "token", "update"),
        "Change a token",
        "Changes what is given of a token. Policies that are given replace all those it has, and "
        "so do roles.",
        MODULE + "tokens:update",
        (*_OF_TOKENS, *FORMS),
        (
            Example(
                "quorate acl token update -name=new 90f09f3d-0113-a71e-3ab0-4cd849969ea1", "name"
            ),
        ),
        args=(1, 1),
        args_text=ACCESSOR,
        usage="[options] <accessor_id>",
    ),
    Command(
        ("acl", "token", "delete"),
        "Delete a token",
        "Deletes a token by its accessor ID. It is refused from then on.",
        MODULE + "tokens:delete",
        (),
        (Example("quorate acl token delete 90f09f3d-0113-a71e-3ab0-4cd849969ea1", "revoked"),),
        args=(1, 1),
        args_text=ACCESSOR,
        usage="[options] <accessor_id>",
    ),
    Command(
        ("acl", "role", "create"),
        "Make a role",
        "Makes a role: a name for some policies, which tokens have by it.",
        MODULE + "roles:create",
        (*_OF_ROLES, *FORMS),
        (Example("quorate acl role create -name=ops -policy=backup -policy=drain", "of two"),),
    ),
    Command(
        ("acl", "role", "list"),
        "List roles",
        "Lists the roles: all of them with a management token, else those of the token.",
        MODULE + "roles:list_all",
        FORMS,
        (Example("quorate acl role list", "which are there?"),),
    ),
    Command(
        ("acl", "role", "info"),
        "Show a role",
        "Shows a role by its ID, or by its name.",
        MODULE + "roles:info",
        (Flag("by-name", "bool", "The argument is a name."), *FORMS),
        (Example("quorate acl role info -by-name ops", "which policies has it?"),),
        args=(1, 1),
        args_text=ROLE,
        usage="[options] <acl_role_id>",
    ),
    Command(
        ("acl", "role", "update"),
        "Change a role",
        "Changes what is given of a role. Policies that are given replace all those it has. With "
        "-no-merge all of it is replaced.",
        MODULE + "roles:update",
        (
            *_OF_ROLES,
            Flag("no-merge", "bool", "Replace all, also what is not given."),
            *FORMS,
        ),
        (
            Example(
                "quorate acl role update -description=on-call ae135ada-e83c-62e2-5dbf-105451b1bf9f",
                "description",
            ),
        ),
        args=(1, 1),
        args_text=ROLE,
        usage="[options] <acl_role_id>",
    ),
    Command(
        ("acl", "role", "delete"),
        "Delete a role",
        "Deletes a role by its ID. Tokens have no rights by it any more.",
        MODULE + "roles:delete",
        (),
        (Example("quorate acl role delete ae135ada-e83c-62e2-5dbf-105451b1bf9f", "not used"),),
        args=(1, 1),
        args_text=ROLE,
        usage="[options] <acl_role_id>",
    ),
)
"""The commands below `acl`."""

GROUPS = (
    Group(
        ("acl",),
        "Tokens, policies and roles",
        "Makes the first token, and manages policies, tokens and roles (docs/acl.md).",
        "quorate acl bootstrap",
    ),
    Group(
        ("acl", "policy"),
        "Policies",
        "Lists, shows, writes and deletes policies: texts that say what tokens may do.",
        "quorate acl policy list",
    ),
    Group(
        ("acl", "token"),
        "Tokens",
        "Lists, shows, makes, changes and deletes tokens.",
        "quorate acl token self",
    ),
    Group(
        ("acl", "role"),
        "Roles",
        "Lists, shows, makes, changes and deletes roles: names for some policies.",
        "quorate acl role list",
    ),
)
"""`acl` and the words below it that have commands."""
