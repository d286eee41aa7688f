"""Believable people: names, titles, companies; some with free mail, some only known by a cookie."""

from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple


class Company(NamedTuple):
    """Where people work."""

    name: str
    domain: str
    industry: str
    employees: int
    country: str


@dataclass(frozen=True)
class Person:
    """One prospect. `email` is None for a visitor who never says who they are; `visitor` is their cookie."""

    number: int
    first: str
    last: str
    title: str
    company: Company
    email: str | None
    visitor: str

    def profile(self) -> dict[str, Any]:
        """What a form that this person fills in would tell."""
        return {
            "first_name": self.first,
            "last_name": self.last,
            "title": self.title,
            "company": self.company.name,
            "employees": self.company.employees,
            "industry": self.company.industry,
            "country": self.company.country,
        }


COMPANIES = (
    Company("Northwind Bearings", "northwind-bearings.example", "manufacturing", 640, "US"),
    Company("Harbor & Quay Logistics", "harborquay.example", "logistics", 2_300, "US"),
    Company("Blue Fjord Software", "bluefjord.example", "software", 180, "NO"),
    Company("Saint Alban Clinics", "saintalban.example", "healthcare", 4_100, "GB"),
    Company("Kestrel Robotics", "kestrel-robotics.example", "manufacturing", 320, "DE"),
    Company("Prairie Grain Cooperative", "prairiegrain.example", "agriculture", 75, "CA"),
    Company("Lumen Retail Group", "lumenretail.example", "retail", 5_600, "US"),
    Company("Tidewater Freight", "tidewater-freight.example", "logistics", 410, "US"),
    Company("Okapi Analytics", "okapi.example", "software", 58, "NL"),
    Company("Verdant Foods", "verdantfoods.example", "food", 900, "FR"),
    Company("Copperfield Mutual", "copperfield.example", "insurance", 1_250, "US"),
    Company("Aurora Diagnostics", "auroradx.example", "healthcare", 230, "SE"),
    Company("Ironbridge Castings", "ironbridge.example", "manufacturing", 1_700, "GB"),
    Company("Pelican Courier", "pelicancourier.example", "logistics", 34, "AU"),
    Company("Sundial Energy", "sundial-energy.example", "energy", 720, "ES"),
    Company("Maple Street Design", "maplestreet.example", "media", 12, "CA"),
    Company("Quartz Semiconductors", "quartzsemi.example", "manufacturing", 3_400, "TW"),
    Company("Meridian Hospitals", "meridianhospitals.example", "healthcare", 8_800, "US"),
    Company("Fernwood Learning", "fernwood.example", "education", 95, "IE"),
    Company("Cobalt Payments", "cobaltpay.example", "software", 540, "EE"),
    Company("Granite State Tools", "granitetools.example", "manufacturing", 66, "US"),
    Company("Atlas Cold Chain", "atlascold.example", "logistics", 1_050, "BR"),
    Company("Juniper Home", "juniperhome.example", "retail", 140, "US"),
    Company("Stellar Cartography", "stellarcarto.example", "software", 24, "US"),
)

FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com", "proton.me")

# fmt: off
FIRST_NAMES = (
    "Amara", "Noah", "Ingrid", "Mateo", "Priya", "Owen", "Leila", "Tomasz", "Chloe", "Kwame", "Hana", "Lucas",
    "Sofia", "Anders", "Mei", "Rafael", "Nadia", "Elliot", "Yuki", "Grace", "Omar", "Freya", "Diego", "Zoe", "Ravi",
    "Astrid", "Samuel", "Ines", "Viktor", "Aisha", "Callum", "Marta", "Jonas", "Thandi", "Felix", "Bianca", "Haruto",
    "Nora",
)
# fmt: on

# fmt: off
LAST_NAMES = (
    "Okafor", "Lindqvist", "Moreau", "Tanaka", "Alvarez", "Whitfield", "Petrov", "Nakamura", "Brennan", "Castellanos",
    "Dufour", "Eriksen", "Fontaine", "Gupta", "Hargreaves", "Ibarra", "Jansen", "Kowalski", "Larsson", "Mbeki",
    "Novak", "Oyelaran", "Pellegrini", "Quigley", "Rosenthal", "Sato", "Thorne", "Ueda", "Vargas", "Winslow",
    "Yilmaz", "Zielinski", "Ashworth", "Bianchi", "Cheng", "Delacroix",
)
# fmt: on

DECISION_MAKERS = (
    "VP Operations",
    "Head of Marketing",
    "Director of Logistics",
    "Chief Operating Officer",
    "CTO",
    "SVP Supply Chain",
    "Director of IT",
    "CFO",
    "Head of Procurement",
)
PRACTITIONERS = (
    "Marketing Manager",
    "Process Engineer",
    "Data Analyst",
    "Operations Manager",
    "CRM Specialist",
    "Plant Engineer",
)
OTHERS = ("Consultant", "Buyer", "Office Administrator", "Journalist", "Student", "Marketing Intern")


def make_person(random: Random, number: int, series: int, *, is_buyer: bool, is_shy: bool) -> Person:
    """A buyer has a title and a company that fit; a shy one never says who they are."""
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    anybody = (DECISION_MAKERS, PRACTITIONERS, OTHERS)
    titles = DECISION_MAKERS if is_buyer and random.random() < 0.8 else random.choice(anybody)
    company = random.choice(COMPANIES)
    unique = f"{first}.{last}{number}" if series == 0 else f"{first}.{last}{series}-{number}"
    return Person(
        number=number,
        first=first,
        last=last,
        title=random.choice(titles),
        company=company,
        email=None if is_shy else _email(random, unique.lower(), company, is_buyer=is_buyer),
        visitor=f"v-{series}-{number}-{random.getrandbits(32):08x}",
    )


def _email(random: Random, name: str, company: Company, *, is_buyer: bool) -> str:
    is_free = random.random() < (0.04 if is_buyer else 0.2)
    return f"{name}@{random.choice(FREE_MAIL) if is_free else company.domain}"
