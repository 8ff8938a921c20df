-- One journal. Frozen: a change needs a new user_version and a migration.

-- The payload is the last column, so that SQLite reads the others without it.
-- AUTOINCREMENT, because a plain key starts again at 1 when the table is empty.
-- `items_before` and `bytes_before` are running totals: what lies between two records is the
-- difference of two rows, however many records there are.
CREATE TABLE batches (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id     BLOB    NOT NULL UNIQUE,
    origin       TEXT    NOT NULL,
    storage_id   TEXT,
    complete     INTEGER NOT NULL,
    accepted_ms  INTEGER NOT NULL,
    rows         INTEGER NOT NULL,
    items        INTEGER NOT NULL,
    items_before INTEGER NOT NULL, -- items of all records before this one, including pruned ones
    bytes        INTEGER NOT NULL,
    bytes_before INTEGER NOT NULL,
    payload      BLOB    NOT NULL
) STRICT;

-- Everything that was ever appended: counts outlive the records.
CREATE TABLE totals (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    items INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

-- accepted = totals.items - start_items + replayed_items.
-- To replay, next_* moves back, replayed_items grows by as much, and records
-- before replay_end are delivered with origin `replay`.
CREATE TABLE cursors (
    exporter        TEXT    PRIMARY KEY,
    start           TEXT    NOT NULL,
    start_seq       INTEGER NOT NULL,
    start_items     INTEGER NOT NULL,
    replayed_items  INTEGER NOT NULL DEFAULT 0,
    replay_end      INTEGER,
    next_seq        INTEGER NOT NULL,
    next_row        INTEGER NOT NULL DEFAULT 0, -- rows of the record next_seq before the cursor
    next_items      INTEGER NOT NULL DEFAULT 0, -- items in those rows
    delivered       INTEGER NOT NULL DEFAULT 0,
    dead_lettered   INTEGER NOT NULL DEFAULT 0,
    filtered        INTEGER NOT NULL DEFAULT 0,
    created_ms      INTEGER NOT NULL,
    unused_since_ms INTEGER, -- set while no configured exporter has this name
    last_success_ms INTEGER,
    last_error      TEXT,
    last_error_ms   INTEGER
) STRICT;

-- Row spans after a cursor that are committed already, while rows before them are still retried.
-- Without them, one failing row would hold back the commit of everything after it, and a crash
-- would deliver all of that again. A row span is deleted when the cursor passes it.
CREATE TABLE ahead (
    exporter  TEXT    NOT NULL,
    seq       INTEGER NOT NULL,
    first_row INTEGER NOT NULL,
    rows      INTEGER NOT NULL,
    items     INTEGER NOT NULL,
    PRIMARY KEY (exporter, seq, first_row)
) STRICT, WITHOUT ROWID;

CREATE TABLE dropped (
    exporter TEXT    NOT NULL,
    reason   TEXT    NOT NULL, -- the configuration key of the limit
    items    INTEGER NOT NULL,
    PRIMARY KEY (exporter, reason)
) STRICT, WITHOUT ROWID;

-- A row is deleted when it is purged, trimmed, or delivered by a replay. While it is in replay,
-- its items are pending again and count in cursors.replayed_items.
CREATE TABLE dead_letters (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    exporter       TEXT    NOT NULL,
    plugin_version TEXT    NOT NULL,
    batch_id       BLOB    NOT NULL,
    seq            INTEGER NOT NULL,
    first_row      INTEGER NOT NULL,
    rows           INTEGER NOT NULL,
    items          INTEGER NOT NULL,
    origin         TEXT    NOT NULL,
    storage_id     TEXT,
    accepted_ms    INTEGER NOT NULL,
    code           INTEGER NOT NULL,
    reason         TEXT    NOT NULL,
    attempts       INTEGER NOT NULL,
    first_ms       INTEGER NOT NULL,
    last_ms        INTEGER NOT NULL,
    replayed_ms    INTEGER, -- set while it is in replay
    bytes          INTEGER NOT NULL,
    payload        BLOB    NOT NULL
) STRICT;
CREATE INDEX dead_letters_by_exporter ON dead_letters (exporter, id, items, bytes, last_ms, replayed_ms);
CREATE INDEX dead_letters_replayed ON dead_letters (exporter, id, items) WHERE replayed_ms IS NOT NULL;
CREATE INDEX dead_letters_by_batch ON dead_letters (batch_id, exporter);

CREATE TABLE idempotency_keys (
    key         TEXT    PRIMARY KEY,
    batch_id    BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    items       INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (accepted_ms);

INSERT INTO totals (id, items, bytes) VALUES (1, 0, 0);

PRAGMA application_id = 1145849418; -- "DLFJ"
PRAGMA user_version = 1;
