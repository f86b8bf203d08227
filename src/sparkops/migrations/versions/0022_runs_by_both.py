"""Runs of a workflow in a status are found without passing over the others.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NEWEST = sa.text("id DESC")


def upgrade() -> None:
    op.create_index("ix_runs_project_id_workflow_id_status_id", "runs", ["project_id", "workflow_id", "status", NEWEST])
    op.drop_index("ix_runs_project_id_workflow_id_id", "runs")


def downgrade() -> None:
    op.create_index("ix_runs_project_id_workflow_id_id", "runs", ["project_id", "workflow_id", NEWEST])
    op.drop_index("ix_runs_project_id_workflow_id_status_id", "runs")
