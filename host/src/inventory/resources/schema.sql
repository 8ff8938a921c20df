-- The resources of all storages. A file of another version is replaced: the next syncs list all
-- resources again.

CREATE TABLE resources (
    id         BLOB    PRIMARY KEY,
    kind       TEXT    NOT NULL,
    storage_id TEXT    NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER,
    fields     TEXT    NOT NULL  -- JSON
) STRICT, WITHOUT ROWID;

CREATE INDEX resources_by_storage ON resources (kind, storage_id, created_us);
CREATE INDEX resources_by_time ON resources (kind, created_us);

-- The last list of each kind.
CREATE TABLE lists (
    storage_id TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    resources  INTEGER NOT NULL,
    listed_us  INTEGER,          -- last success
    error      TEXT,             -- why there was none at the last attempt
    PRIMARY KEY (storage_id, kind)
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 1145849426;
PRAGMA user_version = 1;
