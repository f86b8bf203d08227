"""Audit lines say by which way somebody came and what was before and after; seals chain them, batch by batch.

The hash of a line is made anew, of all that it says and without regard to the session's time zone: nothing has been
sealed before, so that this rewrites no promise.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

HASHED = """
encode(sha256(convert_to(jsonb_build_array(
    {row}.id, (extract(epoch FROM {row}.at) * 1000000)::bigint, {row}.project_id, {row}.actor, {row}.via, {row}.address,
    {row}.request_id, {row}.action, {row}.object, {row}.detail, {row}.before, {row}.after)::text, 'UTF8')), 'hex')
"""
"""The same is said in Python, in domains/audit/lines.py, for whoever does not trust the database."""

FILL_HASH = f"""
CREATE OR REPLACE FUNCTION fill_content_hash() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Nobody dates a line back, says nothing in two ways, or leaves out that the line is still to be sealed: whoever may
-- write lines need not have a right to the list of these.
BEGIN
  NEW.at := clock_timestamp();
  NEW.before := nullif(NEW.before, 'null');
  NEW.after := nullif(NEW.after, 'null');
  NEW.content_hash := {HASHED.format(row="NEW").strip()};
  INSERT INTO audit_unsealed (audit_id) VALUES (NEW.id);
  RETURN NEW;
END $$
"""

FILL_HASH_BEFORE = """
CREATE OR REPLACE FUNCTION fill_content_hash() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER AS $$
BEGIN
  NEW.content_hash := encode(sha256(convert_to(jsonb_build_array(
    NEW.id, NEW.at, NEW.project_id, NEW.actor, NEW.action, NEW.object, NEW.detail, NEW.request_id)::text, 'UTF8')), 'hex');
  RETURN NEW;
END $$
"""
HASHED_BEFORE = """
encode(sha256(convert_to(jsonb_build_array(
    a.id, a.at, a.project_id, a.actor, a.action, a.object, a.detail, a.request_id)::text, 'UTF8')), 'hex')
"""

GUARD_KEPT = """
CREATE FUNCTION guard_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are kept', TG_TABLE_NAME USING ERRCODE = 'SF002';
END $$
"""

KEPT = ("audit", "audit_seals")


def upgrade() -> None:
    op.add_column("audit", sa.Column("via", sa.Text, nullable=True))
    op.add_column("audit", sa.Column("address", sa.Text, nullable=True))
    op.add_column("audit", sa.Column("before", JSONB, nullable=True))
    op.add_column("audit", sa.Column("after", JSONB, nullable=True))
    op.create_table(
        "audit_unsealed",
        sa.Column("audit_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name="pk_audit_unsealed"),
    )
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ids", ARRAY(sa.BigInteger), nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("mac", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.CheckConstraint("number >= 1", name="ck_audit_seals_number"),
        sa.CheckConstraint("octet_length(hashes) = 32 * cardinality(ids)", name="ck_audit_seals_hashes"),
        sa.PrimaryKeyConstraint("number", name="pk_audit_seals"),
    )
    op.create_index("ix_audit_seals_at", "audit_seals", ["at"])
    op.execute(FILL_HASH)
    rehash(HASHED.format(row="a"))
    op.execute("INSERT INTO audit_unsealed (audit_id) SELECT id FROM audit")
    op.execute(GUARD_KEPT)
    for table in KEPT:
        op.execute(
            f"CREATE TRIGGER guard_kept BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION guard_kept()"
        )
    op.execute(
        "CREATE TRIGGER guard_final BEFORE UPDATE ON audit_seals FOR EACH ROW WHEN (true) "
        "EXECUTE FUNCTION guard_final()"
    )
    op.execute("GRANT SELECT, INSERT ON audit_seals TO sparkops_app")
    op.execute("GRANT SELECT, DELETE ON audit_unsealed TO sparkops_app")


def rehash(expression: str) -> None:
    op.execute("ALTER TABLE audit DISABLE TRIGGER guard_final")
    op.execute(f"UPDATE audit a SET content_hash = {expression}")
    op.execute("ALTER TABLE audit ENABLE TRIGGER guard_final")


def downgrade() -> None:
    op.execute("DROP TRIGGER guard_kept ON audit")
    op.execute(FILL_HASH_BEFORE)
    rehash(HASHED_BEFORE)
    op.drop_table("audit_seals")
    op.drop_table("audit_unsealed")
    op.execute("DROP FUNCTION guard_kept")
    for column in ("after", "before", "address", "via"):
        op.drop_column("audit", column)
