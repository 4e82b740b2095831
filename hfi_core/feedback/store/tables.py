"""The store's tables. `migrations/` creates them; a test checks that both agree."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, text

VERSION_TABLE = "hfi_feedback_version"
"""Alembic's table of the revision. It has our own name because MLflow and Prefect may share a PostgreSQL database."""


def bytewise_string(length: int) -> String:
    """Return a string type that compares by bytes in every database and locale."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


metadata = MetaData()

batch = Table(
    "batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", bytewise_string(300), unique=True),  # null: the import was abandoned, and its rows will be deleted
    Column("source", Text, nullable=False),
    Column("alive", Float, nullable=False),  # time of its last activity, in seconds since 1970
    Column("visible", Boolean, nullable=False),
    Column("counted", Boolean, nullable=False),  # `offer.answers` counts its answers, or soon will
    Column("rows", Integer, nullable=False),
    Column("snapshot", Integer),  # the first snapshot that holds it
)
"""An import. Its judgements count as soon as it is `visible`."""

judgement = Table(
    "judgement",
    metadata,
    Column("id", bytewise_string(300), primary_key=True),
    Column("annotator", bytewise_string(200), nullable=False),
    Column("concept", bytewise_string(64), nullable=False),
    Column("question", bytewise_string(64), nullable=False),  # digest of annotator, concept, kind and pictures
    Column("supersedes", bytewise_string(300)),
    Column("content", Text, nullable=False),  # the line of a feedback file
    Column("batch", Integer),  # null: added singly, and counts at once
    Column("snapshot", Integer),  # if added singly: the first snapshot that holds it
    # The answers to a question form a chain: one is the first, and each of the others supersedes one.
    Index("judgement_begins", "question", unique=True, sqlite_where=text("supersedes IS NULL"),
          postgresql_where=text("supersedes IS NULL")),
    Index("judgement_supersedes", "supersedes", unique=True, sqlite_where=text("supersedes IS NOT NULL"),
          postgresql_where=text("supersedes IS NOT NULL")),
    Index("judgement_concept", "concept"),
    Index("judgement_annotator", "annotator"),
    Index("judgement_batch", "batch", sqlite_where=text("batch IS NOT NULL"),
          postgresql_where=text("batch IS NOT NULL")),
    Index("judgement_fresh", "id", sqlite_where=text("batch IS NULL AND snapshot IS NULL"),
          postgresql_where=text("batch IS NULL AND snapshot IS NULL")),
)  # fmt: skip

shown = Table(
    "shown",
    metadata,
    Column("judgement", bytewise_string(300), primary_key=True),
    Column("picture", bytewise_string(128), primary_key=True),
    Column("sha256", bytewise_string(64)),  # null: a ranking without digests
    Column("concept", bytewise_string(64), nullable=False),
    Column("annotator", bytewise_string(200), nullable=False),
    Index("shown_on", "concept", "picture", "annotator", "judgement", "sha256"),
)
"""The pictures that an answer is about: one for a binary judgement, several for a ranking. Corrections add no rows."""

offer = Table(
    "offer",
    metadata,
    Column("concept", bytewise_string(64), primary_key=True),
    Column("picture", bytewise_string(128), primary_key=True),
    Column("sha256", bytewise_string(64), nullable=False),
    Column("priority", Float, nullable=False),
    Column("random", Boolean, nullable=False),
    Column("askable", Boolean, nullable=False),  # false: withdrawn
    Column(
        "answers", Integer, nullable=False
    ),  # annotators who have judged this picture with this digest; never too low
)
"""The pictures that people may be asked about."""

Index("offer_order", offer.c.concept, offer.c.askable, offer.c.priority.desc(), offer.c.picture, offer.c.answers)

lease = Table(
    "lease",
    metadata,
    Column("concept", bytewise_string(64), primary_key=True),
    Column("picture", bytewise_string(128), primary_key=True),
    Column("annotator", bytewise_string(200), primary_key=True),
    Column("expires", Float),  # seconds since 1970; null: skipped, for good
    Index("lease_annotator", "annotator", "concept"),
)
"""The pictures that an annotator was given and has not judged, or has skipped."""

snapshot = Table(
    "snapshot",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("sha256", bytewise_string(64)),  # null until the snapshot is complete
    Column("judgements", Integer, nullable=False),
    Column("taken", Float, nullable=False),
)
"""The snapshots. Snapshot n holds the judgements and imports that are marked with n or less."""
