"""The databases of the shadower as fig 0.1 laid them out, word for word. Never to be changed, whatever becomes of them.

Files that were written then are out there, and every later fig brings them forward.
"""

JOURNAL = """
CREATE TABLE writes (
    sequence    INTEGER PRIMARY KEY,
    turn        INTEGER,
    route       TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    key         BLOB,
    method      TEXT NOT NULL,
    side        TEXT NOT NULL CHECK (side IN ('legacy', 'candidate')),
    copy_to     TEXT CHECK (copy_to IN ('legacy', 'candidate')),
    worker      INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    arrival     REAL NOT NULL,
    original    BLOB,
    state       TEXT NOT NULL CHECK (state IN ('intended', 'answered', 'delivered', 'void', 'in_doubt', 'dead')),
    reason      TEXT NOT NULL DEFAULT '',
    status      INTEGER,
    answer      BLOB,
    attempts    INTEGER NOT NULL DEFAULT 0,
    sending     INTEGER NOT NULL DEFAULT 0,
    copy_status INTEGER,
    copy_answer BLOB,
    ended       REAL
) STRICT;
CREATE INDEX writes_of_key ON writes (key, sequence) WHERE key IS NOT NULL;
CREATE INDEX writes_owed ON writes (route, copy_to, turn, arrival, state) WHERE state = 'answered';
CREATE INDEX writes_owed_of_key ON writes (key, copy_to) WHERE state = 'answered' AND key IS NOT NULL;
CREATE INDEX writes_sending ON writes (sequence) WHERE sending = 1;
CREATE INDEX writes_unsettled ON writes (state, route) WHERE state IN ('intended', 'answered', 'in_doubt', 'dead');
CREATE INDEX writes_uncompared ON writes (sequence) WHERE copy_answer IS NOT NULL;
CREATE INDEX writes_ended ON writes (ended) WHERE state IN ('delivered', 'void');
CREATE TABLE gaps (
    id       TEXT PRIMARY KEY,
    route    TEXT NOT NULL,
    key      BLOB,
    reason   TEXT NOT NULL,
    started  REAL NOT NULL,
    recorded REAL NOT NULL
) STRICT;
PRAGMA application_id = 1179208241;
PRAGMA user_version = 1;
"""
"""journal.db."""

PAIRS = """
CREATE TABLE windows (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    started REAL NOT NULL,
    pairs INTEGER NOT NULL DEFAULT 0,
    differing INTEGER NOT NULL DEFAULT 0,
    writes INTEGER NOT NULL DEFAULT 0,
    excused INTEGER NOT NULL DEFAULT 0,
    unsettled INTEGER NOT NULL DEFAULT 0,
    last REAL,
    UNIQUE (route, number)
);
CREATE TABLE places (
    window INTEGER NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    pairs INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (window, path, kind)
) WITHOUT ROWID;
-- Which pairs of a window differ, by their ordinal in it: what makes 'of the first n pairs' answerable for any n.
CREATE TABLE ordinals (window INTEGER NOT NULL, ordinal INTEGER NOT NULL, PRIMARY KEY (window, ordinal)) WITHOUT ROWID;
CREATE TABLE masks (
    window INTEGER NOT NULL,
    mask TEXT NOT NULL,
    pairs INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (window, mask)
) WITHOUT ROWID;
CREATE TABLE pairs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    window INTEGER NOT NULL,
    differs INTEGER NOT NULL,
    started REAL NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX pairs_by_window ON pairs (window, differs, started);
CREATE TABLE samples (
    window INTEGER NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    pair INTEGER NOT NULL,
    PRIMARY KEY (window, path, kind, pair)
) WITHOUT ROWID;
CREATE INDEX samples_by_pair ON samples (pair);
-- Writes counted lately: the shadower may be killed between counting a write and telling the journal that it has.
CREATE TABLE counted (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE unproven (
    route TEXT PRIMARY KEY,
    gaps INTEGER NOT NULL,
    doubts INTEGER NOT NULL,
    undelivered INTEGER NOT NULL,
    overdue INTEGER NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""pairs.db."""
