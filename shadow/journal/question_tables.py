"""The tables of read-back and of ids in the journal, schema 2 (shadow/journal/schema.py).

What is done with them stands in doubt_tables.py, decided.py and identity_store.py.
"""

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
    # How many writes read-back has cleared up: told in certificates, when the writes themselves are long forgotten.
    "CREATE TABLE resolved (route TEXT PRIMARY KEY, writes INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # Ids that the sides assign differently: the one side's by its keyed hash, the other's sealed.
    """
    CREATE TABLE identities (
        name  TEXT NOT NULL,
        side  TEXT NOT NULL CHECK (side IN ('legacy', 'candidate')),
        hash  BLOB NOT NULL,
        other BLOB NOT NULL,
        at    REAL NOT NULL,
        PRIMARY KEY (name, side, hash)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX identities_learnt ON identities (name, side, at)",
    "CREATE TRIGGER questions_of_forgotten AFTER DELETE ON writes "
    "BEGIN DELETE FROM questions WHERE sequence = OLD.sequence; END",
)
"""What was asked, and why it was answered so, is sealed: the question holds parts of the write."""
