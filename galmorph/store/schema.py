"""Schema: the tables of a store, the same in SQLite and in PostgreSQL.

Times are text (ISO 8601, UTC), and what has no fixed columns is JSON in text, so that whoever reads the tables by SQL
reads the same in both. docs/store.md says what each column means.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

__all__ = [
    "COLUMNS",
    "IMAGES",
    "JOBS",
    "KEYS",
    "LABELS",
    "METADATA",
    "MODELS",
    "PREDICTIONS",
    "QUEUE",
    "RUNS",
    "STORE",
    "VERSION",
    "now",
]

VERSION = 1
"""Of the tables; a store of another one is not opened."""

METADATA = sa.MetaData()
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # which numbers rows by INTEGER alone


def now() -> str:
    """Return the time as the tables have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _image() -> sa.Column[int]:
    return sa.Column("image", _NUMBER, sa.ForeignKey("gm_images.number", ondelete="CASCADE"), nullable=False)


def _model() -> sa.Column[int]:
    return sa.Column("model", _NUMBER, sa.ForeignKey("gm_models.number", ondelete="CASCADE"), nullable=False)


STORE = sa.Table(
    "gm_store", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)
"""What the store itself is: its version."""

MODELS = sa.Table(
    "gm_models",
    METADATA,
    sa.Column("number", _NUMBER, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    _text("card"),
    _text("created"),
    # Whether images that are added are queued for it.
    sa.Column("watched", sa.Boolean, nullable=False, server_default=sa.false()),
)

IMAGES = sa.Table(
    "gm_images",
    METADATA,
    sa.Column("number", _NUMBER, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    _text("file"),
    sa.Column("content", sa.LargeBinary),
    sa.Column("ra", sa.Double),
    sa.Column("dec", sa.Double),
    sa.Column("pixel", sa.BigInteger, index=True),
    _text("survey"),
    _text("band"),
    _text("columns"),
    _text("created"),
    sa.Index(
        "gm_images_without_pixel",
        "ra",
        sqlite_where=sa.text("pixel IS NULL"),
        postgresql_where=sa.text("pixel IS NULL"),
    ),
)

COLUMNS = sa.Table(
    "gm_columns",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    _whole("place"),
    _text("type"),
    _text("unit"),
    _text("description"),
    _text("ucd"),
    _text("role"),
)
"""What is said of the columns that tables of images brought along."""

RUNS = sa.Table(
    "gm_runs",
    METADATA,
    sa.Column("number", _NUMBER, primary_key=True),
    _model(),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    sa.Column("columns", sa.Text, nullable=False),
    sa.Column("provenance", sa.Text, nullable=False),
)
"""What made predictions, and what is said of their columns: a row for each that differs in more than the time."""

PREDICTIONS = sa.Table(
    "gm_predictions",
    METADATA,
    _image(),
    _model(),
    sa.Column("run", _NUMBER, sa.ForeignKey("gm_runs.number"), nullable=False),
    _text("class"),
    sa.Column("confidence", sa.Double),
    sa.Column("entropy", sa.Double),  # of the first question, in bits
    _whole("flags"),
    _whole("doubts"),
    sa.Column("columns", sa.Text, nullable=False),
    _text("created"),
    sa.PrimaryKeyConstraint("image", "model"),
    sa.Index("gm_predictions_by_confidence", "model", "confidence"),
    sa.Index("gm_predictions_by_time", "created"),
    sa.Index("gm_predictions_by_entropy", "model", "entropy"),
    sa.Index("gm_predictions_by_doubts", "model", "doubts"),
)

QUEUE = sa.Table(
    "gm_queue",
    METADATA,
    _image(),
    _model(),
    sa.Column("again", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.PrimaryKeyConstraint("model", "image"),
)
"""Images that a model is to be shown."""

LABELS = sa.Table(
    "gm_labels",
    METADATA,
    sa.Column("number", _NUMBER, primary_key=True),
    _image(),
    sa.Column("scheme", sa.Text, nullable=False, index=True),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    _text("created"),
    sa.Column("seconds", sa.Double),
    sa.Column("withdrawn", sa.Text),
    sa.Index("gm_labels_of_image", "image", "scheme"),
)

KEYS = sa.Table(
    "gm_keys",
    METADATA,
    sa.Column("number", _NUMBER, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    _text("created"),
    sa.Column("withdrawn", sa.Text),
)

JOBS = sa.Table(
    "gm_jobs",
    METADATA,
    sa.Column("number", _NUMBER, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    _text("kind"),
    sa.Column("phase", sa.Text, nullable=False, server_default="PENDING", index=True),
    _text("owner"),
    _text("parameters"),
    _text("created"),
    sa.Column("started", sa.Text),
    sa.Column("ended", sa.Text),
    sa.Column("destruction", sa.Text),
    sa.Column("quote", sa.Text),
    _whole("done"),
    _whole("total"),
    _text("error"),
    _text("result_path"),
    _text("result_format"),
)
"""Jobs of the service, in the phases of UWS."""
