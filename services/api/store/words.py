"""Which leads have what is sought somewhere in their words: in the email, name, company or title (`api.lead_words`).

For a pattern Postgres reads its index's lists of all three letters that follow each other in it: of an email some forty
lists, of which those of `exa`, `ple` and the like hold most leads. So it is asked for a few of them, one of each word,
and what is sought is looked for in the words of whoever is in all of these.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, func, select

from services.api.store.database import Database
from services.api.store.tables import LEAD_INDEX, LEAD_WORDS

TRIGRAM: Final = 3
PIECES_MAX: Final = 8
# Finding first who has it takes time by their number, `share * leads`; going along the list until a page of 51 is full
# by `51 / share`, half as much a lead (a million leads, in memory). Both are alike where `share ** 2 * leads` is:
_EQUAL: Final = 25
# Two thousand leads, or as many as there are: of whole pages, and always of the same, so that they stay in memory.
_SAMPLE: Final = """WITH all_of_them AS (
    SELECT greatest(reltuples, 1) AS leads FROM pg_class WHERE oid = 'api.lead_words'::regclass
)
SELECT (SELECT leads FROM all_of_them), count(*) AS looked_at, count(*) FILTER (WHERE strpos(words, $1) > 0) AS found
FROM api.lead_words TABLESAMPLE SYSTEM ((SELECT least(100, 200000 / leads) FROM all_of_them)) REPEATABLE (1)"""


async def said(database: Database, q: str) -> ColumnElement[bool]:
    """The condition that a lead of the lists has `q` in its words; one or two letters only where a word begins.

    Those of a few leads are found first, whatever else is asked; for those of many the planner may rather go along the
    list until the page is full."""
    part = q.lower() if len(q) >= TRIGRAM else f" {q.lower()}"
    (sample,) = await database.lookup(_SAMPLE, part)
    lead_ids = select(LEAD_WORDS.c.lead_id)
    if sample["found"] ** 2 * sample["leads"] > _EQUAL * sample["looked_at"] ** 2:
        return LEAD_INDEX.c.lead_id.in_(lead_ids.where(_has(part)))
    looked_up = [_has(piece) for piece in islice(pieces(part), PIECES_MAX)]
    is_there = [*looked_up, func.strpos(LEAD_WORDS.c.words, part) > 0] if len(looked_up) > 1 else [_has(part)]
    few = lead_ids.where(*is_there).scalar_subquery()
    return LEAD_INDEX.c.lead_id == any_(func.array(few, type_=ARRAY(Uuid())))


def pieces(part: str) -> Iterator[str]:
    """Of each word of `part` what tells it best from others: the three letters in its middle, since words begin and end
    like others; a shorter word whole, with the signs around it, which say that it begins and ends there."""
    for word in re.finditer(r"[^\W_]+", part):
        begin, end = word.span()
        if end - begin < TRIGRAM:
            yield part[max(0, begin - 1) : end + 1]
        else:
            middle = begin + (end - begin - TRIGRAM) // 2
            yield part[middle : middle + TRIGRAM]


def _has(piece: str) -> ColumnElement[bool]:
    escaped = re.sub(r"([%_\\])", r"\\\1", piece)
    return LEAD_WORDS.c.words.like(f"%{escaped}%", escape="\\")
