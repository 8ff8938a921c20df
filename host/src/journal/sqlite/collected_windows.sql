
-- The last window that was collected from each storage, with its batch, which may be deleted.
CREATE TABLE collected_windows (
    storage_id  TEXT    PRIMARY KEY,
    until_ms    INTEGER NOT NULL,
    batch_id    BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    items       INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
