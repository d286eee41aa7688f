"""What an administrator would set up first, over HTTP: sources, keys with just the scopes they need, a subscription."""

from collections.abc import Mapping
from typing import NamedTuple

from services.demo.client import AccordClient, Hook
from services.demo.receiver import Receiver
from services.demo.settings import ALARMING, ALERTING, MARKETING_SOURCES, ONLOOKING, SALES_SOURCE, SUBSCRIBED


class Keys(NamedTuple):
    """One key for each who calls, and the addresses of the sources by their names."""

    marketing: str
    sales: str
    onlooker: str
    marketing_signer: str
    sales_signer: str
    hooks: Mapping[str, Hook]


async def arrange(admin: AccordClient, receiver: Receiver) -> Keys:
    teams = {**dict.fromkeys(MARKETING_SOURCES, "marketing"), SALES_SOURCE: "sales"}
    sources = {
        name: await admin.create("sources", {"name": name, "kind": "generic", "team": team})
        for name, team in teams.items()
    }
    subscription = {"name": "sales tool", "url": receiver.url, "types": list(SUBSCRIBED), "secret": receiver.secret}
    await admin.create("subscriptions", subscription)
    chat = {"name": "sales chat", "url": receiver.chat_url, "types": list(ALARMING), "format": "slack"}
    await admin.create("subscriptions", chat)
    marketing = {"name": "marketing tools", "role": "marketing", "scopes": ["events:write"]}
    sales = {
        "name": "crm",
        "role": "sales",
        "scopes": ["events:write", "leads:act"],
        "source_id": sources[SALES_SOURCE]["id"],
    }
    onlooker = {"name": "onlooker", "role": "operations", "scopes": list(ONLOOKING)}
    mary = {"name": "Mary", "role": "marketing", "scopes": ["accord:propose", "accord:sign"]}
    sam = {"name": "Sam", "role": "sales", "scopes": ["accord:sign"]}

    async def key_of(body: Mapping[str, object]) -> str:
        return str((await admin.create("keys", body))["key"])

    return Keys(
        marketing=await key_of(marketing),
        sales=await key_of(sales),
        onlooker=await key_of(onlooker),
        marketing_signer=await key_of(mary),
        sales_signer=await key_of(sam),
        hooks={name: Hook(made["url"], made["secret"]) for name, made in sources.items()},
    )


async def subscribe_alertmanager(admin: AccordClient, url: str) -> None:
    alerts = {"name": "on call", "url": url, "types": list(ALERTING), "format": "alertmanager"}
    await admin.create("subscriptions", alerts)
