"""Labels of files and of frames, and the policy that holds back what strangers and privacy would meet in.

Revision ID: 0012
Revises: 0011
"""

from textwrap import dedent
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LABELLED = ("artifacts", "frames")
ID = "00000000-0000-7000-8000-000000000001"
SOURCE = dedent("""\
    version: 1
    name: outward
    description: >-
      What strangers wrote must not lead what is private out of the house. Withdraw this policy to do without.
    rules:
      - name: untrusted-meets-private
        on: [tool.call]
        capabilities: [outward]
        when: 'labels.exists(l, l.startsWith("untrusted:")) && labels.exists(l, l.startsWith("private:"))'
        effect: require_approval
        reason: This step has seen private data and what strangers wrote, and now wants to reach somebody outside.
        severity: high
    tests:
      - name: both together wait for a person
        on: tool.call
        facts: {tool.name: mail.send, tool.capability: outward, labels: [untrusted:web, private:customer]}
        expect: require_approval
        rule: untrusted-meets-private
      - name: what is private alone may go out
        on: tool.call
        facts: {tool.name: mail.send, tool.capability: outward, labels: [private:customer]}
        expect: allow
      - name: what stays in the house is not held up
        on: tool.call
        facts: {tool.name: files.write, tool.capability: write, labels: [untrusted:web, private:customer]}
        expect: allow
    """)
_BOTH = 'labels.exists(l, l.startsWith("untrusted:")) && labels.exists(l, l.startsWith("private:"))'
DOCUMENT: dict[str, Any] = {
    "version": 1,
    "name": "outward",
    "description": "What strangers wrote must not lead what is private out of the house. Withdraw this policy to do "
    "without.",
    "rules": [
        {
            "name": "untrusted-meets-private",
            "on": ["tool.call"],
            "capabilities": ["outward"],
            "when": _BOTH,
            "effect": "require_approval",
            "reason": "This step has seen private data and what strangers wrote, and now wants to reach somebody "
            "outside.",
            "severity": "high",
        }
    ],
    "tests": [
        {
            "name": "both together wait for a person",
            "on": "tool.call",
            "facts": {
                "tool.name": "mail.send",
                "tool.capability": "outward",
                "labels": ["untrusted:web", "private:customer"],
            },
            "expect": "require_approval",
            "rule": "untrusted-meets-private",
        },
        {
            "name": "what is private alone may go out",
            "on": "tool.call",
            "facts": {"tool.name": "mail.send", "tool.capability": "outward", "labels": ["private:customer"]},
            "expect": "allow",
        },
        {
            "name": "what stays in the house is not held up",
            "on": "tool.call",
            "facts": {
                "tool.name": "files.write",
                "tool.capability": "write",
                "labels": ["untrusted:web", "private:customer"],
            },
            "expect": "allow",
        },
    ],
}


SUBJECTS = """
CREATE FUNCTION policy_subjects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.subjects := ARRAY(
    SELECT DISTINCT s #>> '{}' FROM policy_versions v, jsonb_path_query(v.document, '$.rules[*].on[*]') s
     WHERE v.policy_id = NEW.id AND v.version = NEW.active_version);
  RETURN NEW;
END $$
"""
"""What the rules of a policy are on is kept beside it, so that nobody has to read its text to know."""


def upgrade() -> None:
    for table in LABELLED:
        op.add_column(table, sa.Column("labels", ARRAY(sa.Text), server_default="{}", nullable=False))
    op.add_column("policies", sa.Column("subjects", ARRAY(sa.Text), server_default="{}", nullable=False))
    op.create_index(
        "ix_policies_on_output", "policies", ["project_id"], postgresql_where=sa.text("'output' = ANY (subjects)")
    )
    op.execute(SUBJECTS)
    op.execute(
        "CREATE TRIGGER policy_subjects BEFORE INSERT OR UPDATE OF active_version ON policies"
        " FOR EACH ROW EXECUTE FUNCTION policy_subjects()"
    )
    op.execute("UPDATE policies SET active_version = active_version")
    policies = sa.table("policies", sa.column("id"), sa.column("name"), sa.column("latest_version"))
    versions = sa.table(
        "policy_versions",
        sa.column("policy_id"),
        sa.column("version"),
        sa.column("source"),
        sa.column("document", JSONB),
    )
    op.execute(policies.insert().values(id=sa.cast(ID, sa.UUID), name="outward", latest_version=1))
    op.execute(versions.insert().values(policy_id=sa.cast(ID, sa.UUID), version=1, source=SOURCE, document=DOCUMENT))
    op.execute(f"UPDATE policies SET active_version = 1 WHERE id = '{ID}'")
    # Processes that run meanwhile judge anew; where there is no project yet, nobody has judged anything.
    op.execute(
        "INSERT INTO policy_stamps AS s (scope_id, version)"
        " SELECT '00000000-0000-0000-0000-000000000000', 1 WHERE EXISTS (SELECT 1 FROM projects)"
        " ON CONFLICT (scope_id) DO UPDATE SET version = s.version + 1"
    )


def downgrade() -> None:
    op.execute(f"DELETE FROM policies WHERE id = '{ID}'")
    op.execute("DROP TRIGGER policy_subjects ON policies")
    op.execute("DROP FUNCTION policy_subjects")
    op.drop_index("ix_policies_on_output")
    op.drop_column("policies", "subjects")
    for table in LABELLED:
        op.drop_column(table, "labels")
