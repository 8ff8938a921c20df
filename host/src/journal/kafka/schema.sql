-- A journal on Kafka: a partition of a topic. Its records are in the partition.
CREATE TABLE IF NOT EXISTS delfin_journals (
    name text PRIMARY KEY,
    -- The term of the owner: the epoch of its lease, and a count of its connections. A change by another term is refused.
    epoch bigint NOT NULL,
    session bigint NOT NULL,
    -- The newest record, when the state was last changed.
    head_seq bigint NOT NULL DEFAULT 0,
    -- The first record that is kept, or the next one to come, and the items and bytes before it.
    first_seq bigint NOT NULL DEFAULT 1,
    first_offset bigint NOT NULL DEFAULT 0,
    -- The largest term of the fences before that offset; without one, that of the record there.
    fence_epoch bigint DEFAULT 0,
    fence_session bigint DEFAULT 0,
    items_before bigint NOT NULL DEFAULT 0,
    bytes_before bigint NOT NULL DEFAULT 0,
    -- The idempotency keys of the records before this one are in their table.
    keys_seq bigint NOT NULL DEFAULT 1,
    last_dead_letter bigint NOT NULL DEFAULT 0
);
-- accepted = items of all records - start_items + replayed_items.
CREATE TABLE IF NOT EXISTS delfin_cursors (
    journal text NOT NULL,
    exporter text NOT NULL,
    start_seq bigint NOT NULL,
    start_items bigint NOT NULL,
    replayed_items bigint NOT NULL,
    replay_end bigint,
    next_seq bigint NOT NULL,
    next_row bigint NOT NULL,
    next_items bigint NOT NULL,
    delivered bigint NOT NULL,
    dead_lettered bigint NOT NULL,
    filtered bigint NOT NULL,
    -- Items by limit.
    dropped_limits text[] NOT NULL,
    dropped_items bigint[] NOT NULL,
    -- Rows after the cursor that are committed already: four numbers for each span, which are its record, its first
    -- row, its rows and its items.
    ahead bigint[] NOT NULL,
    created_ms bigint NOT NULL,
    unused_since_ms bigint,
    last_success_ms bigint,
    last_error text,
    last_error_ms bigint,
    PRIMARY KEY (journal, exporter)
);
CREATE TABLE IF NOT EXISTS delfin_dead_letters (
    journal text NOT NULL,
    id bigint NOT NULL,
    exporter text NOT NULL,
    plugin_version text NOT NULL,
    batch_id bytea NOT NULL,
    seq bigint NOT NULL,
    first_row bigint NOT NULL,
    rows bigint NOT NULL,
    items bigint NOT NULL,
    origin text NOT NULL,
    storage_id text,
    accepted_ms bigint NOT NULL,
    code bigint NOT NULL,
    reason text NOT NULL,
    attempts bigint NOT NULL,
    first_ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    -- Set while it is in replay: its items are pending again.
    replayed_ms bigint,
    bytes bigint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (journal, id)
);
CREATE INDEX IF NOT EXISTS delfin_dead_letters_by_exporter ON delfin_dead_letters (journal, exporter, id);
CREATE INDEX IF NOT EXISTS delfin_dead_letters_by_batch ON delfin_dead_letters (journal, batch_id);
-- Of records that may be deleted.
CREATE TABLE IF NOT EXISTS delfin_idempotency_keys (
    journal text NOT NULL,
    key text NOT NULL,
    batch_id bytea NOT NULL,
    seq bigint NOT NULL,
    items bigint NOT NULL,
    accepted_ms bigint NOT NULL,
    PRIMARY KEY (journal, key)
);
CREATE INDEX IF NOT EXISTS delfin_idempotency_keys_by_age ON delfin_idempotency_keys (journal, accepted_ms);
