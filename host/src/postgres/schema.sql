CREATE TABLE IF NOT EXISTS delfin_leases (
    name text PRIMARY KEY,
    -- The fencing token: grows each time that a member takes the lease.
    epoch bigint NOT NULL,
    -- Changes each time that the holder proves that it is active.
    renewals bigint NOT NULL,
    member text NOT NULL,
    address text NOT NULL,
    -- The id of the machine's boot; empty if its system has none.
    machine text NOT NULL,
    -- The number of its process there.
    pid bigint NOT NULL,
    -- How long it may write after it was last able to prove that it is active.
    lease_ms bigint NOT NULL,
    taken_at timestamptz NOT NULL,
    released boolean NOT NULL,
    -- The id of its state folder.
    folder text NOT NULL
);
CREATE TABLE IF NOT EXISTS delfin_members (
    lease text NOT NULL,
    member text NOT NULL,
    address text NOT NULL,
    machine text NOT NULL,
    pid bigint NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    -- Why it could not take over; empty if it could.
    obstacle text NOT NULL,
    PRIMARY KEY (lease, member)
);
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
-- The state of hosts whose journals are on Kafka, besides the journals: who may change it. Its parts are in the tables below.
CREATE TABLE IF NOT EXISTS delfin_states (
    lease text PRIMARY KEY,
    -- The epoch of the lease of the owner. A change by another one is refused.
    epoch bigint NOT NULL,
    -- Grows with each change.
    changes bigint NOT NULL DEFAULT 0,
    -- How long the hosts ran.
    clock text,
    -- The first record that is not in the table of active alerts.
    alerts_next_seq bigint
);
CREATE TABLE IF NOT EXISTS delfin_storages (
    lease text NOT NULL,
    id text NOT NULL,
    vendor text NOT NULL,
    model text NOT NULL,
    storage_name text,
    info text NOT NULL,
    perf_collection boolean NOT NULL,
    interval_ms bigint NOT NULL,
    is_historic boolean NOT NULL,
    created_us bigint NOT NULL,
    updated_us bigint,
    -- Sealed.
    access bytea NOT NULL,
    labels text NOT NULL,
    PRIMARY KEY (lease, id)
);
CREATE TABLE IF NOT EXISTS delfin_alert_sources (
    lease text NOT NULL,
    storage_id text NOT NULL,
    created_us bigint NOT NULL,
    updated_us bigint,
    -- Sealed.
    snmp bytea NOT NULL,
    PRIMARY KEY (lease, storage_id)
);
-- The last list of each kind of resources. The resources are JSON.
CREATE TABLE IF NOT EXISTS delfin_resource_lists (
    lease text NOT NULL,
    storage_id text NOT NULL,
    kind text NOT NULL,
    resources text NOT NULL,
    listed_us bigint,
    error text,
    PRIMARY KEY (lease, storage_id, kind)
);
CREATE TABLE IF NOT EXISTS delfin_active_alerts (
    lease text NOT NULL,
    -- The SHA-256 of the identity.
    id bytea NOT NULL,
    -- A JSON list of the texts that identify the alert.
    identity text NOT NULL,
    occur_time bigint NOT NULL,
    texts text NOT NULL,
    first_seen_ms bigint NOT NULL,
    last_seen_ms bigint NOT NULL,
    last_seq bigint NOT NULL,
    is_ingested boolean NOT NULL,
    -- Of the recovery; NULL while the alert is active.
    ended_time bigint,
    ended_ms bigint,
    PRIMARY KEY (lease, id)
);
-- Exporters that an operator pauses.
CREATE TABLE IF NOT EXISTS delfin_paused_exporters (
    lease text NOT NULL,
    exporter text NOT NULL,
    PRIMARY KEY (lease, exporter)
);
-- Tokens of the API. Once a cluster has a row here, its API is never open again.
CREATE TABLE IF NOT EXISTS delfin_token_sets (
    lease text PRIMARY KEY,
    -- Grows with each change.
    version bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS delfin_tokens (
    lease text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_ms bigint NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (lease, name)
);
