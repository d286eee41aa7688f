"""The accord: what both sides have agreed, in sentences; its versions, and who signed them."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from services.api.pages.aloud.agreement import changed, chapters
from services.api.pages.aloud.sentence import Chapter
from services.api.pages.calls import Refused, path
from services.api.pages.instants import InvalidInstant, instant_of_form
from services.api.pages.signing import TONES, in_effect, may_act, on_its_way, standing
from services.api.pages.site import Site
from services.api.pages.visit import Visit
from shared.agreement.loading import load_accord
from shared.http.problems import Problem

_VERSIONS_MAX: Final = 500
_READ_MAX: Final = 16
_REFUSED: Final = (403, 409, 422)
_DONE: Final[Mapping[str, str]] = {
    "proposed": "It is proposed. Both sides can read and sign it now.",
    "signed": "Your signature is on it.",
    "withdrawn": "The proposal is withdrawn.",
}
Read = tuple[Chapter, ...]


class AccordPages:
    """The version in effect, and each version by its number."""

    def __init__(self) -> None:
        # By the hash of the document. Versions don't change, and reading a large one takes a while.
        self._read: dict[str, Read] = {}

    def register(self, site: Site) -> None:
        site.add("/accord", self.show_effective, name="accord")
        site.add("/accord/{version}", self.show_version, name="accord")
        site.on_post("/accord/{version}/sign", self.sign, name="accord")
        site.on_post("/accord/{version}/withdraw", self.withdraw, name="accord")

    async def show_effective(self, visit: Visit) -> Response:
        versions = await self._versions(visit)
        found = in_effect(versions)
        if found is None:
            raise Problem(404, "No accord yet", "No version of the accord is in effect.")
        return await self._page(visit, found["version"], versions, is_front=True)

    async def show_version(self, visit: Visit) -> Response:
        return await self._page(visit, visit.request.path_params["version"], await self._versions(visit))

    async def sign(self, visit: Visit) -> Response:
        """Signs for the side that the reader's role names."""
        number = visit.request.path_params["version"]
        try:
            effective_at = instant_of_form(visit.form.get("effective_at", ""), visit.when.zone)
            await visit.api.send("POST", path("accords", number, "signatures"), {"effective_at": effective_at})
        except InvalidInstant as error:
            return await self._refused(visit, number, 422, str(error))
        except Refused as refused:
            return await self._unless_unknown(visit, number, refused)
        return visit.go(f"/accord/{number}", done="signed")

    async def withdraw(self, visit: Visit) -> Response:
        number = visit.request.path_params["version"]
        try:
            await visit.api.send("POST", path("accords", number, "withdrawal"), {})
        except Refused as refused:
            return await self._unless_unknown(visit, number, refused)
        return visit.go(f"/accord/{number}", done="withdrawn")

    async def _unless_unknown(self, visit: Visit, number: str, refused: Refused) -> Response:
        if refused.status not in _REFUSED:
            raise refused
        return await self._refused(visit, number, refused.status, str(refused.problem["detail"]))

    async def _refused(self, visit: Visit, number: str, status: int, words: str) -> Response:
        return await self._page(visit, number, await self._versions(visit), status=status, fault=words)

    async def _versions(self, visit: Visit) -> list[dict[str, Any]]:
        listed = await visit.api.get(path("accords"), limit=_VERSIONS_MAX)
        found: list[dict[str, Any]] = listed["items"]
        return found

    async def _page(
        self,
        visit: Visit,
        number: object,
        versions: list[dict[str, Any]],
        *,
        is_front: bool = False,
        status: int = 200,
        fault: str | None = None,
    ) -> Response:
        accord = await visit.api.get(path("accords", number))
        difference = await self._difference(visit, accord)
        told = await self._told(accord)
        changes = difference["changes"] if difference else []
        assert visit.principal is not None
        return visit.render(
            "accord.html",
            status,
            accord=accord,
            versions=versions,
            is_front=is_front,
            fault=fault,
            done=_DONE.get(visit.query.get("done", "")),
            difference=difference,
            chapters=told,
            changed=frozenset() if is_front else changed(told, [change["path"] for change in changes]),
            standing=standing(accord, visit.principal),
            may_propose=may_act(visit.principal, "accord:propose"),
            on_its_way=[version for version in on_its_way(versions) if version["version"] != accord["version"]],
            tones=TONES,
        )

    async def _difference(self, visit: Visit, accord: Mapping[str, Any]) -> Any:
        """From the version that the address names, else from the signed one before."""
        asked = visit.query.get("from")
        if asked is None:
            return accord["difference"]
        return await visit.api.get(path("accords", accord["version"], "difference"), from_=asked)

    async def _told(self, accord: Mapping[str, Any]) -> Read:
        found = self._read.get(accord["sha256"])
        if found is None:
            found = await asyncio.to_thread(_read, accord["source_text"])
            if len(self._read) >= _READ_MAX:
                self._read.pop(next(iter(self._read)))
            self._read[accord["sha256"]] = found
        return found


def _read(text: str) -> Read:
    # The text and not the document, whose keys have lost their order.
    accord = load_accord(text)
    return chapters(accord)
