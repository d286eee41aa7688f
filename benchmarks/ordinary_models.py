"""The tables of the ordinary way, as a good team would first draw them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}  # noqa: RUF012 (SQLAlchemy's form)


class Lead(Base):
    __tablename__ = "leads"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String, unique=True)
    profile: Mapped[dict[str, Any]]
    source: Mapped[str]
    first_source: Mapped[str]
    campaign: Mapped[str | None]
    engagement: Mapped[float]
    as_of: Mapped[datetime]
    fit: Mapped[int]
    grade: Mapped[str]
    stage: Mapped[str]
    owner: Mapped[str | None]
    version: Mapped[int]


class Activity(Base):
    __tablename__ = "activities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("leads.id"), index=True)
    type: Mapped[str]
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    source: Mapped[str]
    campaign: Mapped[str | None]
    data: Mapped[dict[str, Any]]

    lead: Mapped[Lead] = relationship()


class Grant(Base):
    __tablename__ = "grants"
    __table_args__ = (Index("ix_grants_lead_id_rule", "lead_id", "rule"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("leads.id"))
    activity_id: Mapped[UUID] = mapped_column(ForeignKey("activities.id"))
    rule: Mapped[str]
    points: Mapped[int]
    occurred_at: Mapped[datetime]

    lead: Mapped[Lead] = relationship()
    activity: Mapped[Activity] = relationship()


class Transition(Base):
    __tablename__ = "transitions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("leads.id"), index=True)
    activity_id: Mapped[UUID] = mapped_column(ForeignKey("activities.id"))
    from_stage: Mapped[str]
    to_stage: Mapped[str]
    owner: Mapped[str | None]
    occurred_at: Mapped[datetime]

    lead: Mapped[Lead] = relationship()
    activity: Mapped[Activity] = relationship()


class OutboxEvent(Base):
    __tablename__ = "outbox"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    lead_id: Mapped[UUID]
    type: Mapped[str]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
