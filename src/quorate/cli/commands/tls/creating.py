"""`tls ca create` and `tls cert create`: files in the current folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from quorate.certificates import authority, issue
from quorate.certificates.authority import Subject, make_authority, permitted_domains
from quorate.certificates.issue import Authority, Holder
from quorate.certificates.names import DOMAIN, Role, check_dns_name
from quorate.certificates.reading import authority_key, certificates_in, readable_by_others
from quorate.cli.commands.tls.saved import check_free, save
from quorate.cli.context import Context, Failure, doing

SUBJECT_FLAGS: Final = (
    *("common-name", "country", "locality", "organization", "organizational-unit"),
    *("postal-code", "province", "street-address"),
)
"""Those of `tls ca create` that name the authority: all of them, or none."""

_WARNING: Final = """\
==> WARNING: The holder of a server certificate can become a server, and then
    read the whole state, root keys and ACL tokens too. Keep it on server
    machines alone, and as safe as the key of the CA.
"""


def create_authority(context: Context) -> int:
    """Make the certificate and the key of an authority."""
    flags = context.flags
    domain = _domain(context)
    certificate = Path(f"{domain}-agent-ca.pem")
    key = Path(f"{domain}-agent-ca-key.pem")
    check_free(certificate, "CA certificate")
    check_free(key, "CA key")
    more = flags.many("additional-domain")
    bound = flags.on("name-constraint")
    if more and not bound:
        raise Failure(
            "-additional-domain was given without -name-constraint",
            "give -name-constraint: the authority can then vouch for these domains alone",
        )
    subject = _subject(context)
    with doing(""):
        pair = make_authority(
            datetime.now(UTC),
            flags.number("days", authority.DAYS),
            subject,
            permitted_domains(domain, more) if bound else (),
        )
    save(pair, certificate, key)
    context.out.line(f"==> CA certificate saved to: {certificate}")
    context.out.line(f"==> CA certificate key saved to: {key}")
    return 0


def create_certificate(context: Context) -> int:
    """Make the certificate and the key of a server, a client or a person's command line."""
    flags = context.flags
    role = _role(context)
    domain = _domain(context)
    region = flags.text("region") or "global"
    certificate = Path(f"{region}-{role}-{domain}.pem")
    key = Path(f"{region}-{role}-{domain}-key.pem")
    server_id = flags.text("server-id")
    if server_id and role is not Role.SERVER:
        raise Failure("-server-id is for server certificates alone", "give -server as well")
    ca_file = Path(flags.text("ca") or f"{domain}-agent-ca.pem")
    key_file = Path(flags.text("key") or f"{domain}-agent-ca-key.pem")
    holder = Holder(
        role=role,
        region=region,
        domain=domain,
        dns_names=flags.many("additional-dnsname"),
        addresses=flags.many("additional-ipaddress"),
        server_id=server_id,
    )
    days = flags.number("days", issue.DAYS)
    now = datetime.now(UTC)
    with doing(""):
        check_dns_name(holder.name, "name")  # it is the name of a file as well
        check_free(certificate, f"{_title(role)} certificate")
        check_free(key, f"{_title(role)} certificate key")
        signer = Authority(certificates_in(ca_file)[0], authority_key(key_file))
        pair = signer.issue(holder, now, days)
    if role is Role.SERVER:
        context.out.stderr.write(_WARNING)
    if readable_by_others(key_file):
        context.out.stderr.write(
            f"==> WARNING: other accounts can read {key_file}, and with it make certificates\n"
            f"    of servers: chmod 600 {key_file}\n"
        )
    context.out.line(f"==> Using CA file {ca_file} and CA key {key_file}")
    left = (signer.certificate.not_valid_after_utc - now).days
    if left < days:
        context.out.line(f"==> The CA ends in {left} days, and the certificate with it")
    save(pair, certificate, key)
    context.out.line(f"==> {_title(role)} Certificate saved to {certificate}")
    shown = "CLI" if role is Role.CLI else _title(role)
    context.out.line(f"==> {shown} Certificate key saved to {key}")
    return 0


def _subject(context: Context) -> Subject | None:
    given = {name: context.flags.text(name) for name in SUBJECT_FLAGS}
    if not any(given.values()):
        return None
    for name, text in given.items():
        if not text:
            raise Failure(
                f"Please provide the -{name} flag when customizing the CA\n"
                "For additional help try 'quorate tls ca create -help'"
            )
    return Subject(**{name.replace("-", "_"): text for name, text in given.items()})


def _domain(context: Context) -> str:
    domain = context.flags.text("domain") or DOMAIN
    with doing(""):
        check_dns_name(domain, "domain")  # it is part of the name of a file
    return domain


def _role(context: Context) -> Role:
    named = [role for role in Role if context.flags.on(role.value)]
    if len(named) != 1:
        raise Failure("Please provide either -server, -client, or -cli")
    return named[0]


def _title(role: Role) -> str:
    return role.value.capitalize()
