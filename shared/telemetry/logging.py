"""Structured logs on stderr: JSON lines for machines, coloured ones on a terminal; libraries' lines too.

A line is a constant action (`clock_breached`) and fields. Messages of exceptions may hold personal data (a key's value,
an input): only those that Accord wrote itself, and the system's, are logged; of others the type and the place.
A warning that repeats is told three times a minute (repeats.py).
"""

import logging
import sys
import time
import traceback
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.errors import AccordError
from shared.telemetry.repeats import Repeats

LogFormat = Literal["auto", "json", "console"]

_FRAMES_MAX: Final = 8
_QUIET: Final = ("alembic", "sqlalchemy", "asyncio", "aiohttp", "aiokafka", "uvicorn", "opentelemetry", "urllib3")


def configure_logging(level: str = "info", form: LogFormat = "auto", *, stream: TextIO | None = None) -> None:
    """Once per process, before anything logs. Run uvicorn with `log_config=None, access_log=False`."""
    stream = stream or sys.stderr
    is_json = form == "json" or (form == "auto" and not stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(is_json, stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        library = logging.getLogger(name)
        library.handlers[:] = []
        library.propagate = True
        library.setLevel(max(logging.WARNING, root.level))
    logging.getLogger("uvicorn.access").disabled = True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            Repeats(time.monotonic),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def describe_error(error: BaseException) -> dict[str, str]:
    """`error`, `where` and, when it can't hold personal data, `message`: what a log line says of it."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    fields = {
        "error": type(error).__qualname__,
        "where": " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)),
    }
    if isinstance(error, AccordError | OSError):
        fields["message"] = str(error)
    return fields


def _describe_exception(logger: WrappedLogger, name: str, fields: EventDict) -> EventDict:
    found = fields.pop("exc_info", None)
    if isinstance(found, tuple):
        found = found[1]
    elif found and not isinstance(found, BaseException):
        found = sys.exc_info()[1]
    if isinstance(found, BaseException):
        fields.update(describe_error(found))
    return fields


def _rendering(is_json: bool, stream: TextIO) -> list[Processor]:
    if is_json:
        return [structlog.processors.EventRenamer("action"), structlog.processors.JSONRenderer(default=str)]
    return [_shorten, structlog.dev.ConsoleRenderer(colors=stream.isatty())]


def _shorten(logger: WrappedLogger, name: str, fields: EventDict) -> EventDict:
    fields["timestamp"] = str(fields.get("timestamp", ""))[11:23]
    return fields
