"""Mailchimp: forms about an audience's members. It can't sign: the secret stands in the address."""

from collections.abc import Mapping
from typing import Any

from services.ingest.model import Fault
from services.ingest.vendors.answers import empty, problem, taken
from services.ingest.vendors.bodies import form_of, text
from services.ingest.vendors.names import PROFILE_UPDATED
from services.ingest.vendors.proofs import check_token
from services.ingest.vendors.shaping import Draft, fingerprint, item_of, lead_of, moment, sender_id
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import Bad, Read, Refusal, Reply, Sent, SourceConfig, Vendor

KIND = "mailchimp"
TYPES = {
    "subscribe": "email.subscribed",
    "unsubscribe": "email.unsubscribed",
    "profile": PROFILE_UPDATED,
    "upemail": PROFILE_UPDATED,
    "cleaned": "email.bounced",
}
TABLE = {
    "FNAME": "first_name",
    "LNAME": "last_name",
    "PHONE": "phone",
    "COMPANY": "company",
    "TITLE": "title",
    "JOBTITLE": "title",
    "INDUSTRY": "industry",
    "COUNTRY": "country",
    "EMPLOYEES": "employees",
    "ADDRESS][city": "city",
    "ADDRESS][state": "region",
    "ADDRESS][zip": "postal_code",
    "ADDRESS][country": "country",
}
NOT_FACTS = ("EMAIL", "ADDRESS")
DATA = ("list_id", "action", "reason", "campaign_id", "email_type")


class MailchimpOptions(SourceOptions):
    """Of a source of kind `mailchimp`. `profile` maps merge fields by their tags."""


def handshake(sent: Sent, source: SourceConfig) -> Reply | None:
    """Mailchimp looks whether the address answers 200, without the secret."""
    return empty() if sent.method in ("GET", "HEAD") else None


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    form = form_of(sent.body)
    if isinstance(form, Refusal):
        return form
    kind = text(form.get("type"))
    if kind is None:
        return Read((), [Bad(0, None, (Fault("type", "is required"),))])
    if kind == "campaign":
        draft = Draft(kind=kind, ignored="about a campaign, not about a person")
        return Read([item_of(draft, source)])
    data = {name[5:-1]: value for name, value in form.items() if name.startswith("data[") and name.endswith("]")}
    lead = lead_of(email=data.get("new_email") or data.get("email"), ids={KIND: data.get("new_id") or data.get("id")})
    if not lead:
        return Read((), [Bad(0, None, (Fault("data[email]", "is required, or data[id]"),))])
    return Read([item_of(_draft(kind, form, data, lead), source)])


def _draft(kind: str, form: Mapping[str, str], data: Mapping[str, str], lead: dict[str, Any]) -> Draft:
    type_ = TYPES.get(kind)
    if kind == "cleaned" and data.get("reason") == "abuse":
        type_ = "email.complained"
    list_id = data.get("list_id", "")
    who = (*lead.get("ids", {}).values(), fingerprint(lead.get("email", "")))
    return Draft(
        kind=kind,
        names=(f"{kind}/{list_id}",) if list_id else (),
        type=type_,
        lead=lead,
        id=sender_id(kind, form.get("fired_at", ""), list_id, *who),
        occurred_at=moment(form.get("fired_at")),
        profile=_merges(data),
        table=TABLE,
        data={name: data[name] for name in DATA if data.get(name)},
        campaign=data.get("campaign_id") or None,
    )


def _merges(data: Mapping[str, str]) -> dict[str, Any]:
    """`data[merges][FNAME]` as FNAME; addresses lie one deeper."""
    merges = {name[8:]: value for name, value in data.items() if name.startswith("merges][")}
    return {
        name: value for name, value in merges.items() if name not in NOT_FACTS and ("][" not in name or name in TABLE)
    }


VENDOR = Vendor(
    kind=KIND,
    settings=MailchimpOptions,
    verify=check_token,
    read=read,
    answer=taken,
    refuse=problem,
    handshake=handshake,
    methods=frozenset({"GET", "HEAD", "POST"}),
    secret_in_url=True,
)
