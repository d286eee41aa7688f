"""What an administrator would set up first, over HTTP: sources, keys with just the scopes they need, a subscription."""

from typing import NamedTuple

from services.demo.client import AccordClient
from services.demo.receiver import Receiver
from services.demo.settings import ALARMING, MARKETING_SOURCES, SALES_SOURCE, SUBSCRIBED


class Keys(NamedTuple):
    """One key for each who calls."""

    marketing: str
    sales: str
    onlooker: str
    marketing_signer: str
    sales_signer: str


async def arrange(admin: AccordClient, receiver: Receiver) -> Keys:
    for name in MARKETING_SOURCES:
        await admin.create("sources", {"name": name, "kind": "generic", "team": "marketing"})
    crm = await admin.create("sources", {"name": SALES_SOURCE, "kind": "generic", "team": "sales"})
    subscription = {"name": "sales tool", "url": receiver.url, "types": list(SUBSCRIBED), "secret": receiver.secret}
    await admin.create("subscriptions", subscription)
    chat = {"name": "sales chat", "url": receiver.chat_url, "types": list(ALARMING), "format": "slack"}
    await admin.create("subscriptions", chat)
    marketing = {"name": "marketing tools", "role": "marketing", "scopes": ["events:write"]}
    sales = {"name": "crm", "role": "sales", "scopes": ["events:write", "leads:act"], "source_id": crm["id"]}
    onlooker = {"name": "onlooker", "role": "operations", "scopes": ["leads:read", "clocks:read"]}
    mary = {"name": "Mary", "role": "marketing", "scopes": ["accord:propose", "accord:sign"]}
    sam = {"name": "Sam", "role": "sales", "scopes": ["accord:sign"]}
    keys = [(await admin.create("keys", body))["key"] for body in (marketing, sales, onlooker, mary, sam)]
    return Keys(*keys)
