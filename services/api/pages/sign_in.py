"""Signing in, with a key or at the issuer, and out again."""

from typing import Final

import pydantic
from starlette.responses import Response

from services.api.pages.sessions import Sessions, local_path
from services.api.pages.site import Site
from services.api.pages.visit import Visit
from shared.errors import Unavailable
from shared.http.entrance import Attempt, Entrance
from shared.http.issuer import CALLBACK
from shared.http.problems import Problem
from shared.secret_box import SecretBox, WrongSecretKey

ATTEMPT_COOKIE: Final = "accord_entrance"
ATTEMPT_SECONDS: Final = 600


class SignIn:
    """The way in. `entrance` is the issuer's; without one there are keys alone."""

    def __init__(self, sessions: Sessions, entrance: Entrance | None, box: SecretBox) -> None:
        self._sessions = sessions
        self._entrance = entrance
        self._box = box

    def register(self, site: Site) -> None:
        site.add("/sign-in", self.show, name="sign-in", is_open=True)
        site.on_post("/sign-in", self.enter, name="sign-in", is_open=True)
        site.on_post("/sign-out", self.leave, name="sign-out", is_open=True)
        if self._entrance is not None:
            site.add("/sign-in/issuer", self.set_out, name="sign-in", is_open=True)
            site.add(CALLBACK, self.arrive, name="sign-in", is_open=True)

    async def show(self, visit: Visit) -> Response:
        following = local_path(visit.query.get("next"))
        return visit.go(following) if visit.session else self._show(visit, following)

    async def enter(self, visit: Visit) -> Response:
        following = local_path(visit.form.get("next"))
        try:
            session = await self._sessions.of_key(visit.form.get("key", "").strip())
        except Problem as problem:
            return self._show(visit, following, fault="No key like this works.", status=problem.status)
        response = visit.go(following)
        self._sessions.begin(response, session)
        return response

    async def set_out(self, visit: Visit) -> Response:
        """To the issuer. What must come back is kept by the browser, sealed, for ten minutes."""
        assert self._entrance is not None
        following = local_path(visit.query.get("next"))
        try:
            address, attempt = await self._entrance.begin(following)
        except Unavailable:
            fault = "The issuer can't be reached just now. Try again, or sign in with a key."
            return self._show(visit, following, fault=fault, status=503)
        response = visit.go(address)
        self._sessions.keep(response, ATTEMPT_COOKIE, self._box.seal(attempt.model_dump_json()), ATTEMPT_SECONDS)
        return response

    async def arrive(self, visit: Visit) -> Response:
        """From the issuer, with a code."""
        assert self._entrance is not None
        attempt = self._attempt(visit)
        try:
            if attempt is None:
                raise Problem(401, "Not signed in", "Signing in took too long. Begin again.")
            person = await self._entrance.finish(attempt, visit.query)
        except Problem as problem:
            response: Response = self._show(
                visit, attempt.following if attempt else "/", fault=problem.detail, status=problem.status
            )
        except Unavailable:
            fault = "The issuer can't be reached just now. Try again, or sign in with a key."
            response = self._show(visit, "/", fault=fault, status=503)
        else:
            response = visit.go(attempt.following)
            self._sessions.begin(response, self._sessions.of_person(person))
        self._sessions.drop(response, ATTEMPT_COOKIE)
        return response

    async def leave(self, visit: Visit) -> Response:
        response = visit.go("/sign-in")
        self._sessions.end(response)
        return response

    def _attempt(self, visit: Visit) -> Attempt | None:
        try:
            sealed = visit.request.cookies[ATTEMPT_COOKIE]
            return Attempt.model_validate_json(self._box.open(sealed, seconds_max=ATTEMPT_SECONDS))
        except (KeyError, WrongSecretKey, pydantic.ValidationError):
            return None

    def _show(self, visit: Visit, following: str, *, fault: str | None = None, status: int = 200) -> Response:
        has_issuer = self._entrance is not None
        return visit.render("sign_in.html", status, following=following, fault=fault, has_issuer=has_issuer)
