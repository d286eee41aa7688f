"""For every field of the accord's models another value, and the sentence that tells of it."""

from copy import deepcopy
from typing import Any

from shared.agreement.loading import default_accord_text, load_accord

DEFAULT: dict[str, Any] = load_accord(default_accord_text()).as_written()
FULL = deepcopy(DEFAULT)
FULL["scoring"]["engagement"]["rules"][8]["after"]["where"] = {"kind": "long"}
FULL["sla"]["promises"][3]["settles_after"] = "14d"

RULES = "scoring.engagement.rules"
# For every field of every model: where one stands in FULL, another value for it, and what is said then.
EXAMPLES: dict[str, tuple[str, Any, str]] = {
    "Accord.name": ("name", "New Name", "name Example Corp → New Name"),
    "Accord.currency": ("currency", "EUR", "currency USD → EUR"),
    "Calendar.timezone": ("calendar.timezone", "Europe/Oslo", "time zone America/New_York → Europe/Oslo"),
    "Hours.mon": ("calendar.hours.mon", [], "Mondays 09:00-17:30 → closed"),
    "Hours.tue": ("calendar.hours.tue", ["10:00-24:00"], "Tuesdays 09:00-17:30 → 10:00-24:00"),
    "Hours.wed": ("calendar.hours.wed", [], "Wednesdays 09:00-17:30 → closed"),
    "Hours.thu": ("calendar.hours.thu", [], "Thursdays 09:00-17:30 → closed"),
    "Hours.fri": ("calendar.hours.fri", ["09:00-12:00"], "Fridays 09:00-12:00, 13:00-16:00 → 09:00-12:00"),
    "Hours.sat": ("calendar.hours.sat", ["22:00-06:00"], "Saturdays closed → 22:00-06:00"),
    "Hours.sun": ("calendar.hours.sun", ["00:00-24:00"], "Sundays closed → 00:00-24:00"),
    "Holidays.country": ("calendar.holidays", {"country": "DE"}, "public holidays of US → DE"),
    "Holidays.subdivision": ("calendar.holidays.subdivision", "CA", "public holidays of its part NY → CA"),
    "Holidays.extra": ("calendar.holidays.extra", [], "extra closed days 2026-12-24 → none"),
    "AtMostPer.points": (
        f"{RULES}.4.at_most.points",
        45,
        "survey: at most 30 points in 90 d → at most 45 points in 90 d",
    ),
    "AtMostPer.per": (f"{RULES}.4.at_most.per", "36h", "survey: at most 30 points in 90 d → at most 30 points in 36 h"),
    "AfterActivity.activity": (
        f"{RULES}.8.after.activity",
        "page.viewed",
        "whitepaper-then-cta: only after whitepaper.downloaded where kind is long within 14 d → "
        "only after page.viewed where kind is long within 14 d",
    ),
    "AfterActivity.where": (
        f"{RULES}.8.after.where",
        {"pages": {"gt": 3}},
        "whitepaper-then-cta: only after whitepaper.downloaded where kind is long within 14 d → "
        "only after whitepaper.downloaded where pages above 3 within 14 d",
    ),
    "AfterActivity.within": (
        f"{RULES}.8.after.within",
        "1d",
        "whitepaper-then-cta: only after whitepaper.downloaded where kind is long within 14 d → "
        "only after whitepaper.downloaded where kind is long within 1 d",
    ),
    "EngagementRule.activity": (f"{RULES}.4.activity", "survey.sent", "survey: for survey.completed → survey.sent"),
    "EngagementRule.where": (f"{RULES}.4.where", {"score": {"lte": 4.5}}, "survey: where always → score at most 4.5"),
    "EngagementRule.points": (f"{RULES}.4.points", 20, "survey: 15 → 20 points"),
    "EngagementRule.half_life": (f"{RULES}.4.half_life", "never", "survey: half-life the default → never"),
    "EngagementRule.at_most": (
        f"{RULES}.5.at_most",
        {"points": 5, "per": "1h"},
        "webinar: no limit → at most 5 points in 1 h",
    ),
    "EngagementRule.once": (f"{RULES}.4.once", True, "survey: once per lead: no → yes"),
    "EngagementRule.after": (
        f"{RULES}.4.after",
        {"activity": "email.sent", "within": "7d"},
        "survey: after anything → only after email.sent within 7 d",
    ),
    "Engagement.half_life": ("scoring.engagement.half_life", "90s", "default half-life 30 d → 90 s"),
    "Engagement.cap": ("scoring.engagement.cap", 150, "engagement cap 200 → 150"),
    "FitRule.where": (
        "scoring.fit.rules.3.where",
        {"employees": {"exists": False}},
        "fit rule enterprise: where employees at least 1000 → employees is missing",
    ),
    "FitRule.points": ("scoring.fit.rules.3.points", -5, "fit rule enterprise: 30 → -5 points"),
    "Grades.A": ("scoring.fit.grades.A", 60, "grade A from a fit of 50 → 60"),
    "Grades.B": ("scoring.fit.grades.B", 40, "grade B from a fit of 30 → 40"),
    "Grades.C": ("scoring.fit.grades.C", 11, "grade C from a fit of 10 → 11"),
    "Recycle.cool_down": ("stages.recycle.cool_down", "12h", "recycled leads rest 30 d → recycled leads rest 12 h"),
    "Stages.mql": (
        "stages.mql",
        {"engagement": {"gte": 70}, "not": {"country": {"in": ["NO", "SE"]}}},
        "qualified (mql) when (engagement at least 40 and grade is A or B) or engagement at least 70 → "
        "engagement at least 70 and not (country is NO or SE)",
    ),
    "Stages.recycle": ("stages.recycle", None, "recycled leads rest 30 d → recycled leads don't rest"),
    "Stages.rejection_reasons": (
        "stages.rejection_reasons.no_budget",
        "disqualified",
        "rejection reason no_budget: recycled → disqualified",
    ),
    "TeamOwner.weight": ("routing.teams.enterprise.0.weight", 3, "team enterprise: ada@sales.example: weight 2 → 3"),
    "TeamOwner.capacity": (
        "routing.teams.enterprise.0.capacity",
        "5/d",
        "team enterprise: ada@sales.example: 20 → 5 a day",
    ),
    "RoutingRule.when": (
        "routing.rules.0.when",
        {"employees": 7},
        "routing rule 1: when employees at least 1000 to team enterprise → when employees is 7 to team enterprise",
    ),
    "RoutingRule.team": (
        "routing.rules.1.team",
        "enterprise",
        "routing rule 2: to team commercial → to team enterprise",
    ),
    "Routing.teams": (
        "routing.teams.new",
        [{"owner": "eve@x.example", "weight": 2}],
        "team new: added, eve@x.example (weight 2)",
    ),
    "Routing.sticky": ("routing.sticky", "country", "kept with its owner by company_domain → country"),
    "Routing.free_mail": ("routing.free_mail.0", "gmx.net", "free-mail domains added gmx.net; removed gmail.com"),
    "Routing.managers": (
        "routing.managers.enterprise",
        "x@sales.example",
        "manager of team enterprise: em@sales.example → x@sales.example",
    ),
    "EscalationStep.at": (
        "sla.clocks.1.escalate.0.at",
        "150%",
        "first-contact: escalation 1: at 100%, tell the owner → at 150%, tell the owner",
    ),
    "EscalationStep.to": (
        "sla.clocks.1.escalate.0.to",
        "manager",
        "first-contact: escalation 1: at 100%, tell the owner → at 100%, tell the manager",
    ),
    "EscalationStep.then": (
        "sla.clocks.1.escalate.0.then",
        "recycle",
        "first-contact: escalation 1: at 100%, tell the owner → at 100%, tell the owner, then recycle",
    ),
    "Clock.starts": ("sla.clocks.1.starts", "sal", "first-contact: starts on mql → sal"),
    "Clock.stops": ("sla.clocks.1.stops", ["accepted"], "first-contact: stops on contacted → accepted"),
    "Clock.when": ("sla.clocks.0.when", {"grade": "B"}, "first-contact-hot: when grade is A → grade is B"),
    "Clock.within": ("sla.clocks.0.within", "30m", "first-contact-hot: within 1 h → 30 m"),
    "Clock.hours": ("sla.clocks.0.hours", "always", "first-contact-hot: hours that count: business → always"),
    "Clock.warn_at": ("sla.clocks.0.warn_at", "57%", "first-contact-hot: warns at 75% → 57%"),
    "Clock.pauses_while": ("sla.clocks.0.pauses_while", "snoozed", "first-contact-hot: pauses while never → snoozed"),
    "Promise.of": ("sla.promises.0.of", "sales", "leads-per-week: of marketing → sales"),
    "Promise.counts": ("sla.promises.0.counts", "sal", "leads-per-week: counts mql → sal"),
    "Promise.when": ("sla.promises.0.when", {"fit": 1}, "leads-per-week: when always → fit is 1"),
    "Promise.share_of": ("sla.promises.3.share_of", "lead", "acceptance-rate: share of mql → lead"),
    "Promise.sourced_by": ("sla.promises.2.sourced_by", "sales", "pipeline-share: sourced by marketing → sales"),
    "Promise.that_reached": ("sla.promises.3.that_reached", "sql", "acceptance-rate: that reached sal → sql"),
    "Promise.at_least": ("sla.promises.0.at_least", 100, "leads-per-week: at least 120 → 100"),
    "Promise.per": ("sla.promises.0.per", "month", "leads-per-week: per week → month"),
    "Promise.warn_at": ("sla.promises.0.warn_at", "12.5%", "leads-per-week: warns at 60% → 12.5%"),
    "Promise.settles_after": ("sla.promises.3.settles_after", "7d", "acceptance-rate: settles after 14 d → 7 d"),
}
