"""What the demo is made of: its agreement, its sources, its limits in seconds."""

from pathlib import Path
from typing import Final

ACCORD: Final = Path(__file__).with_name("accord.yaml")

HOST: Final = "127.0.0.1"
ALLOWED_NETWORKS: Final = "127.0.0.0/8,::1/128"  # the receiver of the demo listens on this machine
LOG_FILE: Final = "accord.log"

START_SECONDS: Final = 120.0  # on a machine that is busy with other things
STOP_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 40.0  # after the last post, for clocks to run out and numbers to agree
LOOK_SECONDS: Final = 0.5
COUNT_SECONDS: Final = 2.0
DRAW_SECONDS: Final = 0.25
# What follows the first season, until somebody stops it.
SLOW_PEOPLE: Final = 60
SLOW_SECONDS: Final = 60.0
REQUEST_SECONDS: Final = 15.0
LOG_LINES_SHOWN: Final = 30

MARKETING_SOURCES: Final = ("website", "newsletter", "trade-show")
SALES_SOURCE: Final = "crm"

# What the pages show to somebody who only looks.
ONLOOKING: Final = (
    "accords:read",
    "clocks:read",
    "leads:read",
    "operations:read",
    "owners:read",
    "reports:read",
    "sources:read",
    "stream:read",
    "subscriptions:read",
)

# What people are told in their chat, and what Alertmanager picks from: an alert's beginnings and ends.
ALARMING: Final = ("accord.clock.breached",)
ALERTING: Final = ("accord.clock.*",)

# What the receiver subscribes to. The lead's own events come to about 8 for each qualified lead.
SUBSCRIBED: Final = (
    "accord.lead.qualified",
    "accord.lead.assigned",
    "accord.clock.warned",
    "accord.clock.met",
    "accord.clock.breached",
    "accord.clock.escalated",
    "accord.clock.resolved",
    "accord.clock.voided",
    "accord.clock.cancelled",
)
