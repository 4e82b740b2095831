"""The store's tables. `migrations/` makes them; a test holds both equal."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, text

VERSION_TABLE = "hfi_feedback_version"
"""Where Alembic keeps the revision; a name of our own, since MLflow and Prefect may share a PostgreSQL database."""


def bytewise_string(length: int) -> String:
    """A string that is compared by its bytes, in any database and under any locale."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


metadata = MetaData()

batch = Table(
    "batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "key", bytewise_string(300), unique=True
    ),  # null: it was ended before it was whole, and its rows are cleared away
    Column("source", Text, nullable=False),
    Column("alive", Float, nullable=False),  # when it last did something, in seconds since 1970
    Column("visible", Boolean, nullable=False),
    Column("counted", Boolean, nullable=False),  # its answers are, or are about to be, in `offer.answers`
    Column("rows", Integer, nullable=False),
    Column("snapshot", Integer),  # the first snapshot that holds it
)
"""An import. Its judgements count from the moment that it is `visible`."""

judgement = Table(
    "judgement",
    metadata,
    Column("id", bytewise_string(300), primary_key=True),
    Column("annotator", bytewise_string(200), nullable=False),
    Column("concept", bytewise_string(64), nullable=False),
    Column("question", bytewise_string(64), nullable=False),  # digest of annotator, concept, kind and pictures
    Column("supersedes", bytewise_string(300)),
    Column("content", Text, nullable=False),  # the line of a feedback file
    Column("batch", Integer),  # null: came alone, and counts at once
    Column("snapshot", Integer),  # of one that came alone: the first snapshot that holds it
    # The answers to a question are a chain: one begins it, and each of the others supersedes one.
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
    Column("sha256", bytewise_string(64)),  # null: a ranking that does not say
    Column("concept", bytewise_string(64), nullable=False),
    Column("annotator", bytewise_string(200), nullable=False),
    Index("shown_on", "concept", "picture", "annotator", "judgement", "sha256"),
)
"""Which pictures an answer is about: one for a binary judgement, several for a ranking; corrections add none."""

offer = Table(
    "offer",
    metadata,
    Column("concept", bytewise_string(64), primary_key=True),
    Column("picture", bytewise_string(128), primary_key=True),
    Column("sha256", bytewise_string(64), nullable=False),
    Column("priority", Float, nullable=False),
    Column("random", Boolean, nullable=False),
    Column("askable", Boolean, nullable=False),  # false: withdrawn
    Column("answers", Integer, nullable=False),  # annotators who have answered about this very picture, never too few
)
"""Pictures that may be asked about."""

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
"""Who has been given which picture and has not answered yet."""

snapshot = Table(
    "snapshot",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("sha256", bytewise_string(64)),  # null while it is being taken
    Column("judgements", Integer, nullable=False),
    Column("taken", Float, nullable=False),
)
"""The snapshots that were taken; number n holds what is marked with n or less."""
