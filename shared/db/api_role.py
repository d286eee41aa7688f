"""The role that the api works as: it may select what services publish, and write in the schema `api`; nothing else.

It is named after the role that owns the database (`accord` → `accord_api`), can't log in, and is taken on by every
connection of the api. Every start grants it what a migration, or a restore without privileges, has left out.
"""

from typing import Any, Final

import asyncpg
import structlog

log = structlog.get_logger(component="api_role")

_NAME: Final = "left(session_user, 59) || '_api'"
_TAKE_ON: Final = f"SELECT set_config('role', {_NAME}, false)"
_GRANT: Final = f"""
DO $grant$
DECLARE
    api_role name := {_NAME};
    published record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = api_role) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', api_role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    BEGIN
        PERFORM set_config('role', api_role, true);
        PERFORM set_config('role', 'none', true);
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('GRANT %I TO %I', api_role, session_user);
    END;
    FOR published IN SELECT schemaname, viewname FROM pg_views WHERE viewname LIKE 'published\\_%' LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', published.schemaname, api_role);
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', published.schemaname, published.viewname, api_role);
    END LOOP;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA api TO %I', api_role);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA api TO %I', api_role);
    IF to_regclass('api.audit_log') IS NOT NULL THEN
        EXECUTE format('REVOKE UPDATE, DELETE ON api.audit_log FROM %I', api_role);
    END IF;
END
$grant$"""
# What it asks takes some tens of milliseconds, and so does starting workers. What takes a minute all the same (a
# report in a large house whose tables are being made anew) is ended: it would hold one of the few connections.
_BOUNDS: Final = "SET max_parallel_workers_per_gather = 0; SET statement_timeout = '60s'"
_HOW_TO: Final = "as an administrator: CREATE ROLE {0} NOLOGIN; GRANT {0} TO {1}; then `accord migrate`"


async def grant_api_role(connection: Any) -> None:
    """Makes the role and grants it what it needs. `connection` is asyncpg's, and its user owns the schemas.

    Who may not make roles is told how to get one; the api then reads in read-only transactions as the owner.
    """
    try:
        async with connection.transaction():
            await connection.execute(_GRANT)
    except asyncpg.InsufficientPrivilegeError:
        owner, role = await connection.fetchrow(f"SELECT session_user, {_NAME}")
        log.warning("api_role_missing", role=role, remedy=_HOW_TO.format(role, owner))


async def take_on_api_role(connection: Any) -> None:
    """For each new connection of the api."""
    await connection.execute(_BOUNDS)
    try:
        await connection.execute(_TAKE_ON)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError):
        log.warning("api_role_not_taken", remedy="run `accord migrate`; it says what the database is short of")
