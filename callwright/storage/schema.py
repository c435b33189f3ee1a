"""The tables. The migrations build exactly these; a test compares both."""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from callwright.domain.states import IN_FLIGHT
from callwright.storage.columns import Identity, Moment, SafeText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ONE_IN_FLIGHT = "uq_attempts_phone_in_flight"
"""The index that lets one attempt per number be in flight."""

HAS_WORDS = text("done_at IS NOT NULL AND (words_deleted_of IS NULL OR words_deleted_of <> done_at)")
"""Of attempts: finished, and its words were not deleted since."""

INBOX_PARKED = text("next_try_at IS NULL AND applied_at IS NULL")
"""Of the inbox: given up."""

_in_flight = text(f"phone <> '' AND state IN ({', '.join(repr(str(state)) for state in sorted(IN_FLIGHT))})")


def _attempt_id(**options: Any) -> Column[Any]:
    return Column("attempt_id", SafeText, ForeignKey("attempts.id", ondelete="CASCADE"), **options)


attempts = Table(
    "attempts",
    metadata,
    Column("id", SafeText, primary_key=True),
    Column("agent_name", SafeText, nullable=False),
    Column("agent_version", Integer, nullable=False),
    Column("carrier", SafeText, nullable=False),
    Column("engine", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("source", SafeText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("phone", SafeText, nullable=False),
    Column("crm_system", SafeText),
    Column("crm_module", SafeText),
    Column("crm_record_id", SafeText),
    Column("given", JSON, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("record_read_at", Moment),
    Column("attempt_number", Integer, nullable=False),
    Column("previous_id", SafeText),
    Column("round", Integer, nullable=False),
    Column("finish_round", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("finish_failures", Integer, nullable=False),
    Column("dial_slot_at", Moment),
    Column("owner", SafeText),
    Column("media_token", SafeText),
    Column("carrier_call_id", SafeText),
    Column("carrier_data", JSON, nullable=False),
    Column("conversation_id", SafeText),
    Column("agent_ticket", Text, comment="encrypted JSON"),
    Column("dialed_at", Moment),
    Column("answered_at", Moment),
    Column("first_word_ms", Float),
    Column("ended_at", Moment),
    Column("done_at", Moment),
    Column("words_deleted_of", Moment, comment="the done_at of which the words were deleted"),
    Column("end_reason", SafeText),
    Column("end_detail", SafeText, nullable=False),
    Column("hang_up_by", SafeText),
    Column("hang_up_requested", Boolean, nullable=False),
    Column("duration_s", Float),
    Column("collected", JSON, nullable=False),
    Column("missing", JSON, nullable=False),
    Column("summary", SafeText, nullable=False),
    Column("successful", Boolean),
    Column("opted_out", Boolean, nullable=False),
    Column("results_state", SafeText, nullable=False),
    Column("crm_state", SafeText, nullable=False),
    Column("crm_detail", JSON, nullable=False),
    Column("recording_path", SafeText),
    Column("carrier_recording_path", SafeText),
    Column("tags", JSON, nullable=False),
    Index(ONE_IN_FLIGHT, "phone", unique=True, sqlite_where=_in_flight, postgresql_where=_in_flight),
    Index("ix_attempts_state_not_before", "state", "not_before"),
    Index("ix_attempts_created_at_id", "created_at", "id"),
    Index("ix_attempts_carrier_call_id", "carrier_call_id"),
    Index("ix_attempts_conversation_id", "conversation_id"),
    Index("ix_attempts_ended_at", "ended_at", sqlite_where=HAS_WORDS, postgresql_where=HAS_WORDS),
    Index("ix_attempts_phone", "phone"),
    Index("ix_attempts_crm_record_id", "crm_record_id"),
)

call_events = Table(
    "call_events",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    _attempt_id(nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("source", SafeText, nullable=False),
    Column("dedup_key", SafeText),
    Column("data", JSON, nullable=False),
    # NULLs differ from each other on both databases: only events that carry a key are compared.
    UniqueConstraint("attempt_id", "dedup_key"),
    Index("ix_call_events_attempt_id_id", "attempt_id", "id"),
    sqlite_autoincrement=True,
)

transcript_lines = Table(
    "transcript_lines",
    metadata,
    _attempt_id(primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("speaker", SafeText, nullable=False),
    Column("text", SafeText, nullable=False),
    Column("at_ms", Integer, nullable=False),
    Column("interrupted", Boolean, nullable=False),
)

timers = Table(
    "timers",
    metadata,
    _attempt_id(primary_key=True),
    Column("kind", SafeText, primary_key=True),
    Column("due_at", Moment, nullable=False),
    Column("claimed_by", SafeText),
    Column("claimed_until", Moment),
    Column("tries", Integer, nullable=False),
    Index("ix_timers_due_at", "due_at"),
)

holds = Table(
    "holds",
    metadata,
    Column("scope", SafeText, primary_key=True),
    Column("reason", SafeText, nullable=False),
    Column("since", Moment, nullable=False),
)

rates = Table(
    "rates",
    metadata,
    Column("scope", SafeText, primary_key=True),
    Column("next_free_at", Moment, nullable=False),
    Column("blocked_until", Moment),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("phone", SafeText, primary_key=True),
    Column("reason", SafeText, nullable=False),
    Column("source", SafeText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("evidence", SafeText, nullable=False),
    Index("ix_suppressions_expires_at", "expires_at"),
)

agents = Table(
    "agents",
    metadata,
    Column("name", SafeText, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("archived_at", Moment),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", SafeText, primary_key=True),
    Column("name", SafeText, nullable=False),
    Column("hash", SafeText, nullable=False, comment="SHA-256 of the key, hexadecimal"),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    UniqueConstraint("hash"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("api_key_id", SafeText, primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("request_hash", SafeText, nullable=False),
    Column("attempt_id", SafeText),
    Column("response", JSON(none_as_null=True)),
    Column("created_at", Moment, nullable=False),
    Index("ix_idempotency_created_at", "created_at"),
)

_to_do = text("next_try_at IS NOT NULL")

inbox = Table(
    "inbox",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("source", SafeText, nullable=False),
    Column("dedup_key", SafeText, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("attempt_id", SafeText),
    Column("applied_at", Moment),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", Moment, comment="empty once applied or parked"),
    Column("claimed_by", SafeText),
    Column("error", SafeText, nullable=False),
    UniqueConstraint("source", "dedup_key"),
    Index("ix_inbox_attempt_id", "attempt_id"),
    Index("ix_inbox_error", "error", sqlite_where=INBOX_PARKED, postgresql_where=INBOX_PARKED),
    Index("ix_inbox_next_try_at", "next_try_at", sqlite_where=_to_do, postgresql_where=_to_do),
    Index("ix_inbox_received_at", "received_at"),
    sqlite_autoincrement=True,
)

crm_writes = Table(
    "crm_writes",
    metadata,
    _attempt_id(primary_key=True),
    Column("kind", SafeText, primary_key=True),
    Column("state", SafeText, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", Moment),
    Column("held_by", SafeText),
    Column("held_until", Moment),
    Column("external_id", SafeText),
    Column("detail", JSON, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("integration", SafeText, primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("value", Text, nullable=False, comment="encrypted"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", SafeText, primary_key=True),
    Column("value", Text, comment="encrypted"),
    Column("facts", JSON, nullable=False),
    Column("expires_at", Moment),
    Column("lock_holder", SafeText),
    Column("lock_until", Moment),
)

processes = Table(
    "processes",
    metadata,
    Column("id", SafeText, primary_key=True),
    Column("slot", SafeText, nullable=False),
    Column("media_url", SafeText, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
    Column("stopping_at", Moment),
    Column("stopped_at", Moment),
    Index("ix_processes_heartbeat_at", "heartbeat_at"),
)
