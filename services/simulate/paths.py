"""What people do, from the first page view to a demo request: each path as deeds in order."""

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

DAY_SECONDS = 86_400.0

PAGES = ("/", "/product", "/customers", "/blog/what-is-a-qualified-lead", "/blog/speed-to-lead", "/integrations")
PAPERS = ("speed-to-lead", "the-agreement-handbook", "forecasting-without-tears")
WEBINARS = ("Half the leads, twice the pipeline", "What sales wants from marketing")
SHOWS = ("Hannover 2026", "LogiCon Chicago", "SaaSFest Dublin")
CAMPAIGNS = ("autumn-launch", "speed-to-lead", "hannover-2026", "always-on", "partner-newsletter")


class Deed(NamedTuple):
    """One activity. `age_seconds` is how long ago it happened when it is posted: warm-up history is days old."""

    type: str
    data: dict[str, Any]
    source: str
    age_seconds: float = 0.0
    tells_profile: bool = False
    is_anonymous: bool = False


Path = Callable[[Random], list[Deed]]


def view(random: Random, path: str | None = None, *, days: float = 0.0, is_anonymous: bool = False) -> Deed:
    data = {"path": path or random.choice(PAGES), "seconds": random.randint(4, 240)}
    return Deed("page.viewed", data, "website", days * DAY_SECONDS, is_anonymous=is_anonymous)


def download(random: Random, *, days: float = 0.0) -> Deed:
    data = {"paper": random.choice(PAPERS)}
    return Deed("whitepaper.downloaded", data, "website", days * DAY_SECONDS, tells_profile=True)


def click(random: Random, *, days: float = 0.0) -> Deed:
    return Deed("email.clicked", {"mail": f"news-{random.randint(30, 47)}"}, "newsletter", days * DAY_SECONDS)


def complete_cta() -> Deed:
    return Deed("cta.completed", {"cta": "talk-to-us"}, "website", tells_profile=True)


def request_demo(random: Random) -> Deed:
    return Deed("demo.requested", {"team_size": random.randint(3, 200)}, "website", tells_profile=True)


def scan(random: Random, interest: str, *, days: float = 0.0) -> Deed:
    data = {"show": random.choice(SHOWS), "booth": "B12", "interest": interest}
    return Deed("tradeshow.scanned", data, "trade-show", days * DAY_SECONDS, tells_profile=True)


def answer_survey(random: Random, *, days: float = 0.0) -> Deed:
    data = {"survey": "lead-handling-2026", "score": random.randint(1, 10)}
    return Deed("survey.completed", data, "newsletter", days * DAY_SECONDS)


def attend_webinar(random: Random, *, days: float = 0.0) -> Deed:
    data = {"webinar": random.choice(WEBINARS), "minutes": random.randint(4, 55)}
    return Deed("webinar.attended", data, "newsletter", days * DAY_SECONDS, tells_profile=True)


def passer_by(random: Random) -> list[Deed]:
    """Looks around, and is gone."""
    return [view(random, is_anonymous=True) for _ in range(random.randint(1, 3))]


def reader(random: Random) -> list[Deed]:
    """Reads what there is to read over weeks; not in a hurry."""
    past = [download(random, days=random.uniform(2, 25)), *(view(random, days=random.uniform(1, 20)) for _ in range(2))]
    return [*past, *(click(random) for _ in range(random.randint(1, 2))), view(random)]


def listener(random: Random) -> list[Deed]:
    """Comes through a webinar and tells what they think."""
    past = [attend_webinar(random, days=random.uniform(1, 9)), click(random, days=random.uniform(0.5, 8))]
    present = [answer_survey(random), download(random)]
    is_keen = random.random() < 0.5
    return [*past, *present, *([view(random, "/pricing/teams"), complete_cta()] if is_keen else [view(random)])]


def booth_visitor(random: Random) -> list[Deed]:
    """Stopped at the stand; some of them to buy."""
    interest = random.choice(("demo", "pricing", "buying", "swag", "none"))
    deeds = [scan(random, interest, days=random.uniform(0.1, 2)), view(random, "/pricing")]
    is_keen = interest in ("demo", "pricing", "buying")
    return [*deeds, download(random), complete_cta()] if is_keen else [*deeds, click(random)]


def buyer(random: Random) -> list[Deed]:
    """Reads, clicks through and asks for a demo: the whole path."""
    past = [view(random, days=random.uniform(1, 6), is_anonymous=True), download(random, days=random.uniform(0.2, 5))]
    return [*past, view(random, "/pricing/enterprise"), complete_cta(), request_demo(random)]


def leaver(random: Random) -> list[Deed]:
    """Has had enough of the newsletter."""
    left = Deed("email.unsubscribed", {"mail": f"news-{random.randint(30, 47)}"}, "newsletter")
    return [download(random, days=random.uniform(3, 30)), click(random), left]


# Shares of all people, in hundredths.
PATHS: tuple[tuple[Path, int], ...] = (
    (passer_by, 16),
    (reader, 30),
    (listener, 16),
    (booth_visitor, 18),
    (buyer, 14),
    (leaver, 6),
)
