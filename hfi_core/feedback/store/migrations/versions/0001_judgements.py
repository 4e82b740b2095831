"""The first tables: judgements and imports, pictures to ask about and who has them, snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _where(condition: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "batch",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", _words(300), unique=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("alive", sa.Float, nullable=False),
        sa.Column("visible", sa.Boolean, nullable=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("snapshot", sa.Integer),
    )
    op.create_table(
        "judgement",
        sa.Column("id", _words(300), primary_key=True),
        sa.Column("annotator", _words(200), nullable=False),
        sa.Column("concept", _words(64), nullable=False),
        sa.Column("question", _words(64), nullable=False),
        sa.Column("supersedes", _words(300)),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("batch", sa.Integer),
        sa.Column("snapshot", sa.Integer),
    )
    op.create_index("judgement_begins", "judgement", ["question"], unique=True, **_where("supersedes IS NULL"))
    op.create_index(
        "judgement_supersedes", "judgement", ["supersedes"], unique=True, **_where("supersedes IS NOT NULL")
    )
    op.create_index("judgement_concept", "judgement", ["concept"])
    op.create_index("judgement_annotator", "judgement", ["annotator"])
    op.create_index("judgement_batch", "judgement", ["batch"], **_where("batch IS NOT NULL"))
    op.create_index("judgement_fresh", "judgement", ["id"], **_where("batch IS NULL AND snapshot IS NULL"))
    op.create_table(
        "shown",
        sa.Column("judgement", _words(300), primary_key=True),
        sa.Column("picture", _words(128), primary_key=True),
        sa.Column("sha256", _words(64)),
        sa.Column("concept", _words(64), nullable=False),
        sa.Column("annotator", _words(200), nullable=False),
    )
    op.create_index("shown_on", "shown", ["concept", "picture", "annotator", "judgement", "sha256"])
    op.create_table(
        "offer",
        sa.Column("concept", _words(64), primary_key=True),
        sa.Column("picture", _words(128), primary_key=True),
        sa.Column("sha256", _words(64), nullable=False),
        sa.Column("priority", sa.Float, nullable=False),
        sa.Column("random", sa.Boolean, nullable=False),
        sa.Column("askable", sa.Boolean, nullable=False),
        sa.Column("answers", sa.Integer, nullable=False),
    )
    op.create_index("offer_order", "offer", ["concept", "askable", sa.text("priority DESC"), "picture", "answers"])
    op.create_table(
        "lease",
        sa.Column("concept", _words(64), primary_key=True),
        sa.Column("picture", _words(128), primary_key=True),
        sa.Column("annotator", _words(200), primary_key=True),
        sa.Column("expires", sa.Float),
    )
    op.create_index("lease_annotator", "lease", ["annotator", "concept"])
    op.create_table(
        "snapshot",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("sha256", _words(64)),
        sa.Column("judgements", sa.Integer, nullable=False),
        sa.Column("taken", sa.Float, nullable=False),
    )
