-- The inventory. Frozen: a change is a new user_version and a migration.

CREATE TABLE storages (
    id              BLOB    PRIMARY KEY,
    vendor          TEXT    NOT NULL,
    model           TEXT    NOT NULL,
    storage_name    TEXT,
    info            TEXT    NOT NULL, -- what the storage says of itself, as JSON
    perf_collection INTEGER NOT NULL,
    interval_ms     INTEGER NOT NULL,
    is_historic     INTEGER NOT NULL,
    created_us      INTEGER NOT NULL,
    updated_us      INTEGER,
    access          BLOB    NOT NULL  -- sealed JSON
) STRICT;

-- Also has declared storages, so it does not reference the other table.
CREATE TABLE progress (
    storage_id TEXT    PRIMARY KEY,
    until_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 1145849417;
PRAGMA user_version = 1;
