"""A page of a list."""

from typing import Generic, TypeVar

from pydantic import BaseModel

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next` is the cursor of the following one, null at the end."""

    items: list[Item]
    next: str | None = None
