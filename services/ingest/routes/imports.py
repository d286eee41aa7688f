"""`POST /v1/imports`: a file of badge scans or leads; and how far it is read, with the rows that were refused."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.ingest.handler.import_bodies import ImportBodies
from services.ingest.model import Refused
from services.ingest.routes import import_calls as calls
from services.ingest.routes.plain_route import PlainRoute
from services.ingest.routes.receiving import ENCODINGS, PIECE_BYTES, Inflater, Room
from services.ingest.routes.uploading import Asked, Upload, UploadParts
from services.ingest.sources import ConfiguredBook
from services.ingest.store.imports import ImportStore
from services.ingest.vendors.csv_columns import read_mapping
from services.ingest.vendors.csv_errors import BOM, errors_header, errors_rows
from services.ingest.vendors.csv_rows import SCANNED
from services.ingest.vendors.csv_text import CHARSETS
from services.ingest.vendors.csv_times import FORMAT_RULE, check_zone, directives
from services.ingest.vendors.source_settings import InvalidSettings, SourceOptions, check
from services.ingest.vendors.vendor import SourceConfig
from shared.http.auth import KeyRing, Principal
from shared.http.limits import OnLimit, Received, stream_body
from shared.http.problems import FieldError, Problem

HELD_BYTES: Final = 8 * PIECE_BYTES  # of an upload, whatever its size
PAGE: Final = 50
PAGE_MAX: Final = 500
_NOT_FOUND: Final = "There is no such import, or it was longer ago than they are kept."
_SHOWN_MAX: Final = 100


@dataclass(frozen=True, kw_only=True)
class ImportParts:
    """What the routes work with; `main` puts it together."""

    keys: KeyRing
    book: ConfiguredBook
    store: ImportStore
    pool: Any
    bodies: ImportBodies
    room: Room
    uploads: UploadParts
    bytes_max: int
    on_limit: OnLimit


class ImportsRoute:
    """The dependencies of the routes, given by `main`."""

    def __init__(self, parts: ImportParts) -> None:
        self._parts = parts

    def routes(self) -> Sequence[APIRoute]:
        """HEAD is answered wherever GET is, and stands in no list."""
        found = [PlainRoute(calls.PATH, self.post, methods=["POST"], name="post_imports", **calls.POST)]
        for path, endpoint, described in (
            (calls.PATH, self.list, calls.LIST),
            (f"{calls.PATH}/{{import_id}}", self.show, calls.SHOW),
            (f"{calls.PATH}/{{import_id}}/errors.csv", self.errors, calls.ERRORS),
        ):
            found.append(PlainRoute(path, endpoint, methods=["GET"], **described))
            found.append(PlainRoute(path, endpoint, methods=["HEAD"], include_in_schema=False))
        return found

    async def post(self, request: Request) -> Response:
        """202 once the whole file is durable."""
        received = Received(request.scope, request.receive)
        try:
            row = await self._take(request, received)
        except Problem:
            await received.drop_rest()
            raise
        location = {"Location": f"{calls.PATH}/{row['import_id']}"}
        return Response(to_json(_shown(row)), 202, location, "application/json")

    async def _take(self, request: Request, received: Received) -> Any:
        principal = await self._parts.keys.authenticate(request.headers.get("authorization"))
        principal.require(calls.SCOPE)
        asked = await self._asked(request, principal)
        self._parts.room.take(HELD_BYTES)
        try:
            return await Upload(self._parts.uploads, asked).take(self._pieces(request, received))
        finally:
            self._parts.room.give_back(HELD_BYTES)

    async def list(self, request: Request) -> Response:
        """The latest first."""
        principal = await self._reader(request)
        query = _query(request, ("source", "limit", "cursor"))
        source_id = principal.source_id
        if (name := query.get("source")) is not None:
            source_id = (await self._source(name, principal)).id
        limit, before = _limit_of(query.get("limit")), _before(query.get("cursor"))
        rows = await self._parts.store.listed(self._parts.pool, source_id, before, limit + 1)
        following = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return Response(
            to_json({"items": [_shown(row) for row in rows[:limit]], "next": following}), media_type="application/json"
        )

    async def show(self, request: Request) -> Response:
        """Progress, counts and the first errors."""
        principal = await self._reader(request)
        _query(request, ())
        row = await self._one(request, principal)
        return Response(to_json(_shown(row)), media_type="application/json")

    async def errors(self, request: Request) -> Response:
        """Every refused row so far, as a file that can be mended and sent again."""
        principal = await self._parts.keys.authenticate(request.headers.get("authorization"))
        principal.require_any(calls.SCOPE, calls.INSPECT)
        _query(request, ())
        row = await self._one(request, principal)
        is_own = row["uploaded_by"] == principal.key_id and principal.may(calls.SCOPE)
        if not is_own and not (principal.may(calls.INSPECT) and principal.owner is None):
            detail = f"Refused rows are personal data: shown to who sent the file, and with the scope {calls.INSPECT}."
            raise Problem(403, "Not allowed", detail)
        name = f'attachment; filename="import-{row["import_id"]}-errors.csv"'
        return StreamingResponse(self._refused(row), 200, {"Content-Disposition": name}, "text/csv; charset=utf-8")

    async def _refused(self, row: Any) -> AsyncGenerator[bytes]:
        plan = json.loads(row["plan"])
        yield BOM + errors_header(plan["header"], plan["separator"]).encode()
        number = -1
        while found := await self._parts.store.refused_after(self._parts.pool, row["import_id"], number):
            number, body = found
            rows = self._parts.bodies.unpack_refused(body)
            yield errors_rows(rows, plan["header"], plan["separator"]).encode("utf-8", "replace")

    async def _reader(self, request: Request) -> Principal:
        principal = await self._parts.keys.authenticate(request.headers.get("authorization"))
        principal.require_any(calls.SCOPE, calls.READ)
        return principal

    async def _one(self, request: Request, principal: Principal) -> Any:
        try:
            row = await self._parts.store.one(self._parts.pool, UUID(request.path_params["import_id"]))
        except ValueError:
            row = None
        if row is None or principal.source_id not in (None, row["source_id"]):
            raise Problem(404, "Not found", _NOT_FOUND)
        return row

    async def _asked(self, request: Request, principal: Principal) -> Asked:
        charset = _charset_of(request.headers)
        query = _query(request, calls.UPLOAD_PARAMETERS)
        faults: list[FieldError] = []
        type_ = query.get("type")
        if type_ is not None:
            try:
                check(SourceOptions, {"events": {"type": type_}})
            except InvalidSettings as invalid:
                faults += [FieldError("type", fault.message) for fault in invalid.faults]
        zone, form = query.get("time_zone", "UTC"), query.get("time_format")
        if (wrong := check_zone(zone)) is not None:
            faults.append(FieldError("time_zone", wrong))
        if form is not None and directives(form) is None:
            faults.append(FieldError("time_format", FORMAT_RULE))
        mapping: dict[str, str | None] = {}
        try:
            mapping = read_mapping(query["mapping"]) if "mapping" in query else {}
        except Refused as refused:
            faults += [FieldError(*fault) for fault in refused.faults]
        if "source" not in query and principal.source_id is None:
            faults.append(FieldError("source", "is required: the name or the id of a source"))
        if faults:
            raise Problem(422, "Invalid input", errors=faults)
        return Asked(
            config=await self._source(query.get("source") or str(principal.source_id), principal),
            uploaded_by=principal.key_id,
            charset=charset,
            mapping=mapping,
            type=type_,
            default_type=SCANNED,
            time_zone=zone,
            time_format=form,
        )

    async def _source(self, name: str, principal: Principal) -> SourceConfig:
        found = await self._parts.book.named(name)
        if principal.source_id is not None and [one.id for one in found] != [principal.source_id]:
            raise Problem(403, "Not allowed", "This key is of one source, and may import for no other.")
        if len(found) == 1:
            return found[0]
        wrong = "two sources have this name: say the id of one" if found else "no source has this name or id"
        raise Problem(422, "Invalid input", errors=[FieldError("source", wrong)])

    async def _pieces(self, request: Request, received: Received) -> AsyncGenerator[bytes]:
        """The file as it comes, inflated if it is gzip; bounded both ways."""
        bytes_max, on_limit = self._parts.bytes_max, self._parts.on_limit
        body = stream_body(request.scope, received, bytes_max=bytes_max, on_limit=on_limit)
        if request.headers.get("content-encoding", "identity").strip().lower() == "identity":
            async for piece in body:
                yield piece
            return
        inflater, left = Inflater(), bytes_max
        async for zipped in body:
            for piece in inflater.feed(zipped):
                left -= len(piece)
                if left < 0:
                    on_limit("inflated_bytes")
                    raise Problem(413, "Content too large", f"The limit is {bytes_max} bytes when inflated.")
                yield piece
        inflater.finish()


def _charset_of(headers: Mapping[str, str]) -> str | None:
    """The charset that the header names. Raises Problem 415 for another type, charset or encoding."""
    media_type, *parameters = [part.strip() for part in headers.get("content-type", "").lower().split(";")]
    if media_type != "text/csv":
        raise Problem(415, "Unsupported media type", "Allowed: text/csv, with a charset if it isn't UTF-8.")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise Problem(415, "Unsupported content encoding", f"Allowed: {', '.join(ENCODINGS)}.")
    charset = next((part.partition("=")[2].strip('" ') for part in parameters if part.startswith("charset=")), None)
    if charset is not None and charset not in CHARSETS:
        raise Problem(415, "Unsupported charset", f"Allowed: {', '.join(CHARSETS)}.")
    return charset


def _query(request: Request, allowed: Sequence[str]) -> dict[str, str]:
    """The query, each parameter once. Raises Problem 422 with every fault."""
    faults: list[FieldError] = []
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            rule = f"is not a parameter of this call; allowed: {', '.join(allowed) or 'none'}"
            faults.append(FieldError(name[:_SHOWN_MAX], rule))
        elif name in found:
            faults.append(FieldError(name, "must be given once"))
        elif "\0" in value:
            faults.append(FieldError(name, "must not contain a NUL character"))
        found[name] = value
    if faults:
        raise Problem(422, "Invalid input", errors=faults)
    return found


def _limit_of(text: str | None) -> int:
    limit = int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 4 else 0
    if text is not None and not 1 <= limit <= PAGE_MAX:
        raise Problem(422, "Invalid input", errors=[FieldError("limit", f"must be from 1 to {PAGE_MAX}")])
    return limit or PAGE


def _cursor(row: Any) -> str:
    text = json.dumps([row["received_at"].isoformat(), str(row["import_id"])])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _before(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        at, id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        received_at = datetime.fromisoformat(at)
        if received_at.tzinfo is not None:
            return received_at, UUID(id)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise Problem(422, "Invalid input", errors=[FieldError("cursor", "is not a cursor that this list gave")])


def _shown(row: Any) -> dict[str, Any]:
    plan = json.loads(row["plan"])
    names = [name.strip() for name in plan["header"]]
    return {
        "id": row["import_id"],
        "source_id": row["source_id"],
        "source": plan["source"],
        "state": row["state"],
        "bytes": row["bytes"],
        "bytes_read": row["bytes_read"],
        "rows": row["rows_total"],
        "counts": {
            "rows": row["rows_read"],
            **{name: row[name] for name in ("accepted", "duplicates", "rejected", "ignored")},
        },
        "columns": {name: place for name, place in zip(names, plan["places"], strict=True) if name},
        "first_errors": json.loads(row["first_errors"]),
        **{name: row[name] for name in ("failure", "received_at", "started_at", "ended_at")},
    }
