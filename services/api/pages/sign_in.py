"""Signing in with a key, and out again."""

from starlette.responses import Response

from services.api.pages.sessions import Sessions, local_path
from services.api.pages.site import Site
from services.api.pages.visit import Visit
from shared.http.problems import Problem


class SignIn:
    """The way in."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def register(self, site: Site) -> None:
        site.add("/sign-in", self.show, name="sign-in", is_open=True)
        site.on_post("/sign-in", self.enter, name="sign-in", is_open=True)
        site.on_post("/sign-out", self.leave, name="sign-out", is_open=True)

    async def show(self, visit: Visit) -> Response:
        following = local_path(visit.query.get("next"))
        return visit.go(following) if visit.session else visit.render("sign_in.html", following=following, fault=None)

    async def enter(self, visit: Visit) -> Response:
        following = local_path(visit.form.get("next"))
        try:
            session = await self._sessions.of_key(visit.form.get("key", "").strip())
        except Problem as problem:
            return visit.render("sign_in.html", problem.status, following=following, fault="No key like this works.")
        response = visit.go(following)
        self._sessions.begin(response, session)
        return response

    async def leave(self, visit: Visit) -> Response:
        response = visit.go("/sign-in")
        self._sessions.end(response)
        return response
