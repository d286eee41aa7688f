"""Proposing a change: the document's text is edited, and tried while somebody types."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from services.api.pages.calls import Refused, path
from services.api.pages.instants import InvalidInstant, instant_of_form
from services.api.pages.signing import may_act
from services.api.pages.site import Site
from services.api.pages.visit import Visit

_REFUSED: Final = (403, 409, 413, 422)
_AT: Final = "effective_at"


class Findings(NamedTuple):
    """What trying or proposing a document said: `checked` is the api's answer, `errors` its mistakes, `refusal` says
    why it can't be proposed as things stand, `time` what is wrong with the time of effect."""

    checked: Mapping[str, Any] | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    refusal: str | None = None
    time: str | None = None


class ProposePage:
    """One form: `try` says what proposing would say, `propose` does it."""

    def register(self, site: Site) -> None:
        site.add("/accord/propose", self.show, name="propose")
        site.on_post("/accord/propose", self.propose, name="propose")
        site.on_post("/accord/propose/findings", self.find, name="propose")

    async def show(self, visit: Visit) -> Response:
        """Begins with the text of the version in the address, else of the newest that is not withdrawn."""
        versions = (await visit.api.get(path("accords"), limit=500))["items"]
        newest = next(version["version"] for version in versions if version["state"] != "withdrawn")
        begun = await visit.api.get(path("accords", visit.query.get("from", newest)))
        text = begun["source_text"]
        assert visit.principal is not None
        if not may_act(visit.principal, "accord:propose"):
            return visit.render("propose.html", text=None, begun=None)
        # Trying it takes longer than all else: the script asks for that once the page is shown.
        return visit.render("propose.html", text=text, at="", findings=Findings(), begun=begun["version"], fault=None)

    async def find(self, visit: Visit) -> Response:
        """The findings alone, for the script of the page."""
        text, at = _written(visit)
        return visit.render("findings.html", findings=await self._tried(visit, text, at))

    async def propose(self, visit: Visit) -> Response:
        text, at = _written(visit)
        if "propose" not in visit.form:
            return self._again(visit, await self._tried(visit, text, at), 200)
        try:
            body = {"document": text, _AT: instant_of_form(at, visit.when.zone)}
            made = await visit.api.send("POST", path("accords"), body)
        except InvalidInstant as error:
            return self._again(visit, Findings(time=str(error)), 422)
        except Refused as refused:
            if refused.status not in _REFUSED:
                raise
            return self._again(visit, _found(refused), refused.status)
        return visit.go(f"/accord/{made['version']}", done="proposed")

    def _again(self, visit: Visit, findings: Findings, status: int) -> Response:
        text, at = _written(visit)
        fault = "It was not proposed. What is in the way stands below." if status != 200 else None
        return visit.render("propose.html", status, text=text, at=at, findings=findings, begun=None, fault=fault)

    async def _tried(self, visit: Visit, text: str, at: str) -> Findings:
        try:
            body = {"document": text, _AT: instant_of_form(at, visit.when.zone)}
            return Findings(await visit.api.send("POST", path("accords", "checks"), body))
        except InvalidInstant as error:
            return Findings(time=str(error))
        except Refused as refused:
            if refused.status not in _REFUSED:
                raise
            return _found(refused)


def _written(visit: Visit) -> tuple[str, str]:
    """The document and the time as they were typed; browsers end lines of a form with CR LF."""
    return visit.form.get("document", "").replace("\r\n", "\n"), visit.form.get(_AT, "")


def _found(refused: Refused) -> Findings:
    """Mistakes in the document, or why it can't be proposed as things stand."""
    about_time = [error["message"] for error in refused.errors if error["path"] == _AT]
    if about_time:
        return Findings(time=about_time[0])
    return Findings(errors=refused.errors) if refused.errors else Findings(refusal=refused.problem["detail"])
