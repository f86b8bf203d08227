"""The hot transactions of the execution protocol, as database functions: one round trip each.

A plain statement of many CTEs would keep the snapshot it had before it waited for a lock, and lose what was
committed meanwhile; a function takes a new snapshot for each of its statements.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

from sparkops.migrations.functions import install

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FUNCTIONS = (
    "abandon_calls_v1",
    "accept_v1",
    "answer_v1",
    "apply_v1",
    "ask_v1",
    "call_event_v1",
    "cancel_v1",
    "charge_v1",
    "claim_v1",
    "close_steps_v1",
    "complete_v1",
    "emit_v1",
    "expire_approvals_v1",
    "give_back_v1",
    "hand_over_v1",
    "heartbeat_v1",
    "hold_lease_v1",
    "journal_v1",
    "park_v1",
    "prepare_v1",
    "propose_v1",
    "record_calls_v1",
    "record_v1",
    "reserve_v1",
    "resume_v1",
    "run_error_v1",
    "step_event_v1",
    "take_v1",
    "wait_v1",
    "wake_v1",
    "write_audit_v1",
)


def upgrade() -> None:
    op.execute("CREATE SCHEMA engine")
    for name in FUNCTIONS:
        install(op, name)
    op.execute("GRANT USAGE ON SCHEMA engine TO sparkops_app")


def downgrade() -> None:
    op.execute("DROP SCHEMA engine CASCADE")
