"""Addresses beside a given one, which may lead to a host or (`?host=/folder`) to a socket."""

from urllib.parse import quote, urlsplit


def on_database(address: str, database: str) -> str:
    """Another database of that server."""
    return urlsplit(address)._replace(path=f"/{database}").geturl()


def as_user(address: str, user: str, password: str) -> str:
    """The same database for another user."""
    parts = urlsplit(address)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{quote(password)}@{place}").geturl()


def database_of(address: str) -> str:
    """The name of its database."""
    return urlsplit(address).path.removeprefix("/")
