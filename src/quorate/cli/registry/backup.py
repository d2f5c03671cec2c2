"""The commands of backups (docs/backups.md)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example, Group
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.backup."
_LISTED = MODULE + "listed:"
_NAME = "This command takes one argument: <name>, as list shows it"

GROUP = Group(
    ("operator", "backup"),
    "The backups of the cluster",
    "Lists the backups that the leader makes, makes one, verifies, prunes and restores them. Where "
    "they go stands in the configuration of the servers.",
    "quorate operator backup list",
)

BACKUP = (
    Command(
        ("operator", "backup", "list"),
        "List the backups",
        "Lists the backups that are at the target, the newest first, and what is wrong with them. "
        "A verified one was read back from the target, and its state had the digest that most "
        "servers held.",
        _LISTED + "list_backups",
        (
            Flag(
                "stale",
                "bool",
                "Ask this agent alone: answered without a leader too, but it may be behind.",
            ),
            *FORMS,
        ),
        (Example("quorate operator backup list", "is the newest one verified, and how old?"),),
    ),
    Command(
        ("operator", "backup", "run"),
        "Make a backup now",
        "Has the leader make a backup now, beside the schedule, and verify it. The exit code is 0 "
        "only if it is verified.",
        _LISTED + "run",
        FORMS,
        (Example("quorate operator backup run", "before an upgrade"),),
    ),
    Command(
        ("operator", "backup", "verify"),
        "Verify a backup once more",
        "Has the leader read a backup back from the target, restore it into a scratch state, and "
        "compare the digest of that with the one that the servers held. The exit code is 0 only if "
        "it is verified.",
        _LISTED + "verify",
        FORMS,
        (
            Example(
                "quorate operator backup verify quorate-1b2f03aa-20261129T030000Z-812.snap",
                "is it still whole?",
            ),
        ),
        args=(1, 1),
        args_text=_NAME,
        usage="[options] <name>",
    ),
    Command(
        ("operator", "backup", "prune"),
        "Delete the backups that are not retained",
        "Has the leader delete the backups beyond the number that its configuration retains. It "
        "does so by itself after each backup. The newest verified one is never deleted.",
        _LISTED + "prune",
        FORMS,
        (Example("quorate operator backup prune", "retain was lowered"),),
    ),
    Command(
        ("operator", "backup", "restore"),
        "Restore the state of the cluster from a backup",
        "Has the leader restore a backup of the list, as snapshot restore does with a file: it "
        "checks all of it first, and keeps the state before it as a safety snapshot.",
        MODULE + "restore:restore",
        (
            Flag("dry-run", "bool", "Show what would change in each table, and change nothing."),
            Flag("force", "bool", "Restore a backup of another cluster too."),
            Flag("keep-acl", "bool", "Leave tokens, policies and roles as they are."),
            *FORMS,
        ),
        (
            Example(
                "quorate operator backup restore -dry-run "
                "quorate-1b2f03aa-20261129T030000Z-812.snap",
                "what would change?",
            ),
        ),
        args=(1, 1),
        args_text=_NAME,
        usage="[options] <name>",
    ),
)


ELSEWHERE_GROUP = Group(
    ("backup",),
    "Backups of any cluster, made from here",
    "Backs up a cluster that does not do so itself, as one of Nomad servers, into a folder or a "
    "bucket.",
    "quorate backup run -target=file:///mnt/backups",
)

ELSEWHERE = (
    Command(
        ("backup", "run"),
        "Back up a cluster, of Nomad servers too",
        "Saves the state of the cluster at -address as an archive, checks it, puts it to the "
        "target, reads it back from there, and checks it again. A file at the target has its name "
        "only when it is whole. A backup of Nomad 1.4 to 1.8 never holds the root keys: which, and "
        "where they are, is said. Servers of Quorate back themselves up: see operator backup.",
        MODULE + "elsewhere:run",
        (
            Flag("target", "string", "file:///folder or s3://bucket/prefix. Required.", "url"),
            Flag("retain", "int", "Then delete all but the newest so many; 0: none.", "number"),
            Flag("endpoint", "string", "The address of a server that speaks S3.", "url"),
            Flag("bucket-region", "string", "The region of the bucket.", "name"),
            Flag(
                "credentials-file",
                "string",
                "Credentials of the bucket, in the form of AWS's own file.",
                "path",
            ),
            *FORMS,
        ),
        (
            Example(
                "quorate backup run -address=http://10.0.0.1:4646 -target=file:///mnt/backups",
                "from cron, beside a cluster of Nomad",
            ),
        ),
    ),
)
