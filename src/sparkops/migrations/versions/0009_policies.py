"""Policies with versions, what is kept of decisions, violations, and labels of values.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
SUBJECTS = "'run.create', 'step.start', 'llm.call', 'tool.call', 'output'"
SEVERITIES = "'info', 'low', 'medium', 'high', 'critical'"
LABELLED = ("runs", "steps", "calls")
DECISION_COLUMNS = {
    "step_id": sa.UUID,
    "subject": sa.Text,
    "name": sa.Text,
    "policy_id": sa.UUID,
    "rule_version": sa.BigInteger,
    "severity": sa.Text,
    "facts_digest": sa.Text,
    "monitored": JSONB,
    "duration_us": sa.BigInteger,
}


def upgrade() -> None:
    op.add_column("projects", sa.Column("time_zone", sa.Text, server_default="UTC", nullable=False))
    op.add_column("projects", sa.Column("default_effect", sa.Text, server_default="allow", nullable=False))
    op.create_check_constraint("ck_projects_default_effect", "projects", "default_effect IN ('allow', 'deny')")
    for table in LABELLED:
        op.add_column(table, sa.Column("labels", ARRAY(sa.Text), server_default="{}", nullable=False))
    policies()
    decisions()
    violations()


def policies() -> None:
    """Turn the one list of rules of a project into the first version of a policy."""
    op.create_table(
        "policy_stamps",
        sa.Column("scope_id", sa.UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope_id", name="pk_policy_stamps"),
    )
    op.execute("INSERT INTO policy_stamps (scope_id, version) SELECT project_id, version FROM policies")
    op.rename_table("policies", "policies_before")
    op.execute("ALTER TABLE policies_before RENAME CONSTRAINT pk_policies TO pk_policies_before")
    op.create_table(
        "policies",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("active_version", sa.BigInteger, nullable=True),
        sa.Column("latest_version", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("active_version BETWEEN 1 AND latest_version", name="ck_policies_active"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_policies_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
        sa.UniqueConstraint(
            "project_id", "name", name="uq_policies_project_id_name", postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "policy_versions",
        sa.Column("policy_id", sa.UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("created_by", sa.UUID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name="fk_policy_versions_policy_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("policy_id", "version", name="pk_policy_versions"),
    )
    op.execute(
        "INSERT INTO policies (id, project_id, name, active_version, latest_version, created_by, updated_at)"
        " SELECT gen_random_uuid(), project_id, 'project', 1, 1, updated_by, updated_at FROM policies_before"
        " WHERE rules <> '[]'"
    )
    op.execute(
        "INSERT INTO policy_versions (policy_id, version, source, document, created_by, created_at)"
        " SELECT p.id, 1, jsonb_pretty(d.document), d.document, p.created_by, p.updated_at"
        "   FROM policies p JOIN policies_before b ON b.project_id = p.project_id"
        "  CROSS JOIN LATERAL (SELECT jsonb_build_object('version', 1, 'name', 'project', 'rules', b.rules)) d (document)"
    )
    op.drop_table("policies_before")
    frozen("policy_versions")
    op.execute("GRANT SELECT, INSERT, UPDATE ON policy_stamps, policies TO sparkops_app")
    op.execute("GRANT SELECT, INSERT ON policy_versions TO sparkops_app")


def decisions() -> None:
    for name, kind in DECISION_COLUMNS.items():
        op.add_column("policy_decisions", sa.Column(name, kind, nullable=True))
    op.execute("ALTER TABLE policy_decisions DISABLE TRIGGER USER")
    op.execute(
        "UPDATE policy_decisions d SET subject = c.kind || '.call', name = c.name, step_id = c.step_id"
        " FROM calls c WHERE c.run_id = d.run_id AND c.id = d.subject_id"
    )
    op.execute("UPDATE policy_decisions SET subject = 'tool.call' WHERE subject IS NULL")
    op.execute("ALTER TABLE policy_decisions ENABLE TRIGGER USER")
    op.alter_column("policy_decisions", "subject", nullable=False)
    op.create_check_constraint("ck_policy_decisions_subject", "policy_decisions", f"subject IN ({SUBJECTS})")
    op.create_check_constraint("ck_policy_decisions_severity", "policy_decisions", f"severity IN ({SEVERITIES})")
    op.create_index(
        "ix_policy_decisions_not_allowed",
        "policy_decisions",
        ["project_id", "id"],
        postgresql_where=sa.text("outcome <> 'allow'"),
    )
    op.create_index("ix_policy_decisions_rule", "policy_decisions", ["project_id", "policy_id", "rule", "id"])


def violations() -> None:
    op.create_table(
        "violations",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("run_id", sa.UUID, nullable=False),
        sa.Column("step_id", sa.UUID, nullable=True),
        sa.Column("decision_id", sa.UUID, nullable=False),
        sa.Column("policy_id", sa.UUID, nullable=True),
        sa.Column("rule_version", sa.BigInteger, nullable=True),
        sa.Column("rule", sa.Text, nullable=True),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("monitored", sa.Boolean, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("status", sa.Text, server_default="open", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("changed_by", sa.UUID, nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('open', 'acknowledged', 'resolved')", name="ck_violations_status"),
        sa.CheckConstraint(f"severity IN ({SEVERITIES})", name="ck_violations_severity"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_violations_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_violations"),
    )
    op.create_index("ix_violations_run_id", "violations", ["run_id"])
    op.create_index("ix_violations_project_id_status_id", "violations", ["project_id", "status", "id"])
    op.create_index("ix_violations_decision_id", "violations", ["decision_id"])
    op.create_table(
        "violation_notes",
        sa.Column("id", sa.UUID, nullable=False),
        sa.Column("violation_id", sa.UUID, nullable=False),
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("author_id", sa.UUID, nullable=False),
        sa.Column("text", sa.Text, nullable=True),
        sa.Column("status", sa.Text, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["violation_id"], ["violations.id"], name="fk_violation_notes_violation_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_violation_notes_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_violation_notes"),
    )
    op.create_index("ix_violation_notes_violation_id", "violation_notes", ["violation_id"])
    frozen("violation_notes")
    op.execute("GRANT SELECT, INSERT, UPDATE ON violations TO sparkops_app")
    op.execute("GRANT SELECT, INSERT ON violation_notes TO sparkops_app")


def frozen(table: str) -> None:
    """Let nobody change a row of this table."""
    op.execute(
        f"CREATE TRIGGER guard_final BEFORE UPDATE ON {table} FOR EACH ROW WHEN (true) EXECUTE FUNCTION guard_final()"
    )


def downgrade() -> None:
    op.drop_table("violation_notes")
    op.drop_table("violations")
    op.drop_index("ix_policy_decisions_rule")
    op.drop_index("ix_policy_decisions_not_allowed")
    for name in DECISION_COLUMNS:
        op.drop_column("policy_decisions", name)
    op.execute("ALTER TABLE policies RENAME CONSTRAINT pk_policies TO pk_policies_after")
    op.rename_table("policies", "policies_after")
    op.execute("ALTER TABLE policies_after RENAME CONSTRAINT fk_policies_project_id TO fk_policies_after_project_id")
    op.create_table(
        "policies",
        sa.Column("project_id", sa.UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("rules", JSONB, nullable=False),
        sa.Column("updated_by", sa.UUID, nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_policies_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", name="pk_policies"),
    )
    op.execute(
        "INSERT INTO policies (project_id, version, rules)"
        " SELECT p.id, coalesce(s.version, 1), coalesce((SELECT v.document -> 'rules' FROM policies_after a"
        "   JOIN policy_versions v ON v.policy_id = a.id AND v.version = a.active_version"
        "   WHERE a.project_id = p.id AND a.name = 'project'), '[]')"
        " FROM projects p LEFT JOIN policy_stamps s ON s.scope_id = p.id"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON policies TO sparkops_app")
    op.drop_table("policy_versions")
    op.drop_table("policies_after")
    op.drop_table("policy_stamps")
    for table in LABELLED:
        op.drop_column(table, "labels")
    op.drop_column("projects", "default_effect")
    op.drop_column("projects", "time_zone")
