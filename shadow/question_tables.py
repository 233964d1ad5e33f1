"""The tables of read-back in the journal. In schema 2 (shadow/journal_schema.py); statements are in doubt_tables.py."""

from __future__ import annotations

QUESTIONS = (
    """
    CREATE TABLE questions (
        sequence INTEGER PRIMARY KEY,
        finding  TEXT NOT NULL,
        times    INTEGER NOT NULL,
        at       REAL NOT NULL,
        asked    BLOB NOT NULL
    ) STRICT
    """,
    "CREATE TRIGGER questions_of_forgotten AFTER DELETE ON writes "
    "BEGIN DELETE FROM questions WHERE sequence = OLD.sequence; END",
)
"""What was asked, and why it was answered so, is sealed: the question holds parts of the write."""
