"""The commands of certificates (docs/tls.md)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example, Group
from quorate.cli.flags import Flag

_CREATING = "quorate.cli.commands.tls.creating:"
_SHOWING = "quorate.cli.commands.tls.showing:"
_FILE = "This command takes one argument: <file>"

GROUPS = (
    Group(
        ("tls",),
        "Certificates for the servers and their clients",
        "Makes and shows certificates. Servers talk to each other, and clients to servers, by TLS "
        "with certificates of one authority (docs/tls.md).",
        "quorate tls ca create",
    ),
    Group(
        ("tls", "ca"),
        "The authority that a cluster trusts",
        "Makes and shows the certificate of an authority.",
        "quorate tls ca create",
    ),
    Group(
        ("tls", "cert"),
        "Certificates that an authority has signed",
        "Makes and shows the certificates of servers, clients and people.",
        "quorate tls cert create -server",
    ),
)

_DOMAIN = Flag(
    "domain",
    "string",
    "The last part of all names; default nomad, which Nomad's clients expect.",
    "domain",
)
_DAYS = "Days for which it is valid; default "

TLS = (
    Command(
        ("tls", "ca", "create"),
        "Make the authority of a cluster",
        "Makes a certificate of an authority and its key in this folder, as <domain>-agent-ca.pem "
        "and <domain>-agent-ca-key.pem. With the key anybody can make certificates: keep it away "
        "from the servers. Existing files are left alone.",
        _CREATING + "create_authority",
        (
            _DOMAIN,
            Flag("days", "int", _DAYS + "1825.", "days"),
            Flag(
                "name-constraint",
                "bool",
                "Let it vouch for names below the domain and localhost alone.",
            ),
            Flag(
                "additional-domain",
                "list",
                "With -name-constraint: another domain; may be repeated.",
                "domain",
            ),
            Flag("common-name", "string", "Of its subject: all of these, or none.", "name"),
            Flag("country", "string", "Two letters (ISO 3166).", "country"),
            Flag("locality", "string", "City.", "locality"),
            Flag("organization", "string", "Organization.", "name"),
            Flag("organizational-unit", "string", "Part of it.", "name"),
            Flag("postal-code", "string", "Postal code.", "code"),
            Flag("province", "string", "State or province.", "name"),
            Flag("street-address", "string", "Street address.", "address"),
        ),
        (
            Example("quorate tls ca create", "nomad-agent-ca.pem and its key, for five years"),
            Example(
                "quorate tls ca create -name-constraint -days=365",
                "it can vouch for names of this cluster alone",
            ),
        ),
        general=False,
    ),
    Command(
        ("tls", "ca", "info"),
        "Show the certificate of an authority",
        "Shows serial number, names, end and permitted domains of an authority's certificate.",
        _SHOWING + "show_authority",
        FORMS,
        (Example("quorate tls ca info nomad-agent-ca.pem", "when does it end?"),),
        args=(1, 1),
        args_text=_FILE,
        usage="[options] <file>",
        general=False,
    ),
    Command(
        ("tls", "cert", "create"),
        "Make a certificate for a server, a client or a person",
        "Makes a certificate and its key in this folder, as <region>-<kind>-<domain>.pem and "
        "<region>-<kind>-<domain>-key.pem, signed by the authority of this folder. Its first name "
        "is <kind>.<region>.<domain>. Existing files are left alone.",
        _CREATING + "create_certificate",
        (
            Flag("server", "bool", "For a server: its holder can become one."),
            Flag("client", "bool", "For a client agent."),
            Flag("cli", "bool", "For a person's command line, or another program."),
            Flag("region", "string", "Region of the server; default global.", "region"),
            Flag("dc", "string", "Taken and not looked at, as Nomad does.", "datacenter"),
            _DOMAIN,
            Flag("days", "int", _DAYS + "365.", "days"),
            Flag(
                "additional-dnsname",
                "list",
                "Another DNS name, such as the host's; may be repeated.",
                "name",
            ),
            Flag("additional-ipaddress", "list", "Another address; may be repeated.", "address"),
            Flag(
                "server-id",
                "string",
                "Name the server's ID in it too, as a URI: it is for that server alone.",
                "id",
            ),
            Flag("ca", "string", "The authority; default <domain>-agent-ca.pem.", "file"),
            Flag("key", "string", "Its key; default <domain>-agent-ca-key.pem.", "file"),
        ),
        (
            Example("quorate tls cert create -server", "global-server-nomad.pem and its key"),
            Example(
                "quorate tls cert create -server -region=eu -additional-dnsname=s1.example.org",
                "for a server whose clients use its host name",
            ),
            Example("quorate tls cert create -cli", "for QUORATE_CLIENT_CERT"),
        ),
        general=False,
    ),
    Command(
        ("tls", "cert", "info"),
        "Show a certificate",
        "Shows serial number, issuer, names and end of a certificate.",
        _SHOWING + "show_certificate",
        FORMS,
        (Example("quorate tls cert info global-server-nomad.pem", "which names has it?"),),
        args=(1, 1),
        args_text=_FILE,
        usage="[options] <file>",
        general=False,
    ),
)
