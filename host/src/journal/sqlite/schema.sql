-- One journal of the journal. Frozen: a change is a new user_version and a migration.

-- A record's payload comes last, so that the other columns are read without it.
-- AUTOINCREMENT, because a plain key starts again once the table is empty.
CREATE TABLE batches (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id     BLOB    NOT NULL UNIQUE,
    origin       TEXT    NOT NULL,
    storage_id   TEXT,
    complete     INTEGER NOT NULL,
    accepted_ms  INTEGER NOT NULL,
    rows         INTEGER NOT NULL,
    items        INTEGER NOT NULL,
    items_before INTEGER NOT NULL, -- items of all records before this one, pruned ones too
    bytes        INTEGER NOT NULL,
    bytes_before INTEGER NOT NULL,
    payload      BLOB    NOT NULL
) STRICT;

-- Everything ever appended: counts and numbering outlive the records.
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
    next_row        INTEGER NOT NULL DEFAULT 0, -- rows settled of the record next_seq
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

-- Rows behind a cursor's position that are settled already, because others
-- before them are still tried. A span goes when the cursor passes it.
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
    reason   TEXT    NOT NULL, -- the limit, by its name in the configuration
    items    INTEGER NOT NULL,
    PRIMARY KEY (exporter, reason)
) STRICT, WITHOUT ROWID;

-- A row goes when it is purged or, having been replayed, delivered. While it is
-- replayed its items are pending again and count in cursors.replayed_items.
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
    replayed_ms    INTEGER, -- set while it is being replayed
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
