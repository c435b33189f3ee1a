"""The first schema.

Revision 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _attempts()
    _attempts_indexes()
    _agents()
    _api_keys()
    _holds()
    _idempotency()
    _inbox()
    _processes()
    _rates()
    _secrets()
    _suppressions()
    _tokens()
    _call_events()
    _crm_writes()
    _timers()
    _transcript_lines()


def downgrade() -> None:
    for table in (
        "transcript_lines",
        "timers",
        "crm_writes",
        "call_events",
        "tokens",
        "suppressions",
        "secrets",
        "rates",
        "processes",
        "inbox",
        "idempotency",
        "holds",
        "api_keys",
        "agents",
        "attempts",
    ):
        op.drop_table(table)


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("agent_version", sa.Integer(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("crm_system", sa.Text(), nullable=True),
        sa.Column("crm_module", sa.Text(), nullable=True),
        sa.Column("crm_record_id", sa.Text(), nullable=True),
        sa.Column("given", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("record_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.Text(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("finish_round", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("finish_failures", sa.Integer(), nullable=False),
        sa.Column("dial_slot_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("media_token", sa.Text(), nullable=True),
        sa.Column("carrier_call_id", sa.Text(), nullable=True),
        sa.Column("carrier_data", sa.JSON(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.Column("agent_ticket", sa.Text(), nullable=True, comment="encrypted JSON"),
        sa.Column("dialed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_word_ms", sa.Float(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "words_deleted_of",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="the done_at of which the words were deleted",
        ),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("end_detail", sa.Text(), nullable=False),
        sa.Column("hang_up_by", sa.Text(), nullable=True),
        sa.Column("hang_up_requested", sa.Boolean(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("collected", sa.JSON(), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("successful", sa.Boolean(), nullable=True),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("results_state", sa.Text(), nullable=False),
        sa.Column("crm_state", sa.Text(), nullable=False),
        sa.Column("crm_detail", sa.JSON(), nullable=False),
        sa.Column("recording_path", sa.Text(), nullable=True),
        sa.Column("carrier_recording_path", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )


def _attempts_indexes() -> None:
    in_flight = sa.text(
        "phone <> '' AND state IN "
        "('answered', 'dialing', 'placed', 'preparing', 'ringing', 'talking', 'unknown')"
    )
    op.create_index("ix_attempts_carrier_call_id", "attempts", ["carrier_call_id"], unique=False)
    op.create_index("ix_attempts_conversation_id", "attempts", ["conversation_id"], unique=False)
    op.create_index("ix_attempts_created_at_id", "attempts", ["created_at", "id"], unique=False)
    op.create_index("ix_attempts_crm_record_id", "attempts", ["crm_record_id"], unique=False)
    has_words = sa.text("done_at IS NOT NULL AND (words_deleted_of IS NULL OR words_deleted_of <> done_at)")
    op.create_index(
        "ix_attempts_ended_at",
        "attempts",
        ["ended_at"],
        unique=False,
        sqlite_where=has_words,
        postgresql_where=has_words,
    )
    op.create_index("ix_attempts_phone", "attempts", ["phone"], unique=False)
    op.create_index("ix_attempts_state_not_before", "attempts", ["state", "not_before"], unique=False)
    op.create_index(
        "uq_attempts_phone_in_flight",
        "attempts",
        ["phone"],
        unique=True,
        sqlite_where=in_flight,
        postgresql_where=in_flight,
    )


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_agents")),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="SHA-256 of the key, hexadecimal"),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_keys_hash")),
    )


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("api_key_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=True),
        sa.Column("response", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("api_key_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"], unique=False)


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column(
            "next_try_at", sa.DateTime(timezone=True), nullable=True, comment="empty once applied or parked"
        ),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("source", "dedup_key", name=op.f("uq_inbox_source_dedup_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_inbox_next_try_at",
        "inbox",
        ["next_try_at"],
        unique=False,
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_index("ix_inbox_attempt_id", "inbox", ["attempt_id"], unique=False)
    parked = sa.text("next_try_at IS NULL AND applied_at IS NULL")
    op.create_index(
        "ix_inbox_error", "inbox", ["error"], unique=False, sqlite_where=parked, postgresql_where=parked
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"], unique=False)


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_holds")),
    )


def _processes() -> None:
    op.create_table(
        "processes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("media_url", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopping_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
    )
    op.create_index("ix_processes_heartbeat_at", "processes", ["heartbeat_at"], unique=False)


def _rates() -> None:
    op.create_table(
        "rates",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("next_free_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_rates")),
    )


def _secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="encrypted"),
        sa.PrimaryKeyConstraint("integration", "key", name=op.f("pk_secrets")),
    )


def _suppressions() -> None:
    op.create_table(
        "suppressions",
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("phone", name=op.f("pk_suppressions")),
    )
    op.create_index("ix_suppressions_expires_at", "suppressions", ["expires_at"], unique=False)


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True, comment="encrypted"),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lock_holder", sa.Text(), nullable=True),
        sa.Column("lock_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tokens")),
    )


def _call_events() -> None:
    op.create_table(
        "call_events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
            name=op.f("fk_call_events_attempt_id_attempts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_events")),
        sa.UniqueConstraint("attempt_id", "dedup_key", name=op.f("uq_call_events_attempt_id_dedup_key")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_call_events_attempt_id_id", "call_events", ["attempt_id", "id"], unique=False)


def _crm_writes() -> None:
    op.create_table(
        "crm_writes",
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_by", sa.Text(), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
            name=op.f("fk_crm_writes_attempt_id_attempts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("attempt_id", "kind", name=op.f("pk_crm_writes")),
    )


def _timers() -> None:
    op.create_table(
        "timers",
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_timers_attempt_id_attempts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt_id", "kind", name=op.f("pk_timers")),
    )
    op.create_index("ix_timers_due_at", "timers", ["due_at"], unique=False)


def _transcript_lines() -> None:
    op.create_table(
        "transcript_lines",
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("speaker", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.Integer(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
            name=op.f("fk_transcript_lines_attempt_id_attempts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("attempt_id", "key", name=op.f("pk_transcript_lines")),
    )
