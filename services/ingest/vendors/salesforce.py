"""Salesforce outbound messages: SOAP, up to 100 notifications, each about one record. It can't sign: the secret stands
in the address; the organizations that may send can be listed."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from services.ingest.vendors.answers import problem
from services.ingest.vendors.proofs import check_token
from services.ingest.vendors.salesforce_records import long_id, record_drafts
from services.ingest.vendors.shaping import read_each
from services.ingest.vendors.soap import notifications
from services.ingest.vendors.source_settings import CrmOptions
from services.ingest.vendors.vendor import (
    Read,
    Refusal,
    RefusalReason,
    Reply,
    Sent,
    SourceConfig,
    Tally,
    Vendor,
)

KIND: Final = "salesforce"
XML: Final = "text/xml; charset=utf-8"
ACK: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)


def _organization(value: str) -> str:
    if long_id(value) is None:
        raise ValueError("must be an organization's id of 15 or 18 letters and digits")
    return value


class SalesforceOptions(CrmOptions):
    """Of a source of kind `salesforce`. `stages` has a lead's Status and an opportunity's StageName."""

    organization_ids: list[Annotated[str, AfterValidator(_organization)]] = Field(
        [], max_length=100, description="The organizations that may send; without any, every one that has the address"
    )


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    message = notifications(sent.body)
    if isinstance(message, Refusal):
        return message
    settings = source.settings_as(SalesforceOptions)
    allowed = {long_id(id) for id in settings.organization_ids}
    if allowed and long_id(message.organization) not in allowed:
        return Refusal(RefusalReason.STRANGER, "The organization is not one that this source lists.")
    return read_each(message.records, lambda record: record_drafts(record, settings.stages), source)


def answer(tally: Tally, sent: Sent) -> Reply:
    """One acknowledgement for all: what can't be used is kept, and would not be better for being sent again."""
    return Reply(200, ACK, XML)


VENDOR = Vendor(
    kind=KIND,
    settings=SalesforceOptions,
    verify=check_token,
    read=read,
    answer=answer,
    refuse=problem,
    secret_in_url=True,
)
