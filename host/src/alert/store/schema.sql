-- The active alerts. Frozen: a change is a new user_version and a migration.

-- The first record of the alert journal that is not in the table.
CREATE TABLE place (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    next_seq INTEGER NOT NULL
) STRICT;

CREATE TABLE alerts (
    storage_id      TEXT    NOT NULL,
    match_key       TEXT    NOT NULL, -- if it is there, the three that follow are empty
    name            TEXT    NOT NULL,
    location        TEXT    NOT NULL,
    sequence_number TEXT    NOT NULL,
    occur_time      INTEGER NOT NULL,
    texts           TEXT    NOT NULL, -- JSON: pairs of a name and a text
    first_seen_ms   INTEGER NOT NULL,
    last_seen_ms    INTEGER NOT NULL,
    last_seq        INTEGER NOT NULL, -- the last record that says something of it
    ended_time      INTEGER,          -- set once it has ended
    ended_ms        INTEGER,          -- when the batch that ended it was accepted
    is_ingested     INTEGER NOT NULL DEFAULT 1, -- 1: a client sent its last row, 0: collected
    PRIMARY KEY (storage_id, match_key, name, location, sequence_number)
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 1145848897; -- "DLDA"
PRAGMA user_version = 2;
