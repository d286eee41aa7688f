"""A mail: plain text, which every reader shows and nobody can hide a link in."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from services.delivery.model.channels.words import Told, clean, counted

LINES_MAX: Final = 200
RECIPIENTS_MAX: Final = 20


class Mail(NamedTuple):
    """What a mail says."""

    subject: str
    text: str


def mail(lines: Sequence[Told], name: str) -> Mail:
    """One mail about all of these, the urgent ones first; `name` is the subscription's, so they know whence."""
    ordered = sorted(lines, key=lambda line: not line.is_urgent)
    subject = ordered[0].headline if len(lines) == 1 else counted(lines)
    parts = [_part(line) for line in ordered[:LINES_MAX]]
    if len(lines) > LINES_MAX:
        parts.append(f"and {len(lines) - LINES_MAX} more")
    parts.append(f"-- \nYou get this because of the subscription “{clean(name)}” of Accord.")
    return Mail(clean(subject), "\n\n".join(parts) + "\n")


def recipients(url: str) -> tuple[str, ...]:
    """The addresses of `mailto:ann@example.com,bob@example.com`. Raises ValueError with what is wrong."""
    parts = urlsplit(url)
    found = tuple(unquote(one).strip() for one in parts.path.split(",") if one.strip())
    if parts.scheme != "mailto" or parts.query or not found:
        raise ValueError("must be mailto: and then addresses, separated by commas")
    if len(found) > RECIPIENTS_MAX:
        raise ValueError(f"has more than {RECIPIENTS_MAX} addresses")
    for address in found:
        local, at, domain = address.rpartition("@")
        if not (local and at and domain) or any(c.isspace() or c in '<>",;:\\' or ord(c) < 32 for c in address):
            raise ValueError(f"has {address!r}, which is no address")
    return found


def _part(line: Told) -> str:
    facts = [f"  {name}: {value}" for name, value in line.facts]
    return "\n".join([("! " if line.is_urgent else "") + line.headline, *facts, f"  {line.link}"])
