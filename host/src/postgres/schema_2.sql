-- Added in version 2.
ALTER TABLE delfin_leases
    -- The member to which the holder gave it back, and why.
    ADD COLUMN IF NOT EXISTS successor text,
    ADD COLUMN IF NOT EXISTS reason text;
ALTER TABLE delfin_members
    -- NULL if it was not checked yet whether it could take over.
    ADD COLUMN IF NOT EXISTS priority integer,
    -- When it was handed the lease; NULL once it is active.
    ADD COLUMN IF NOT EXISTS offered_at timestamptz;
-- The items of all records until the newest one; NULL until a host that knows the column has changed the state.
ALTER TABLE delfin_journals ADD COLUMN IF NOT EXISTS head_items bigint;
-- The last window that was collected from each storage, once the record of its batch is deleted.
CREATE TABLE IF NOT EXISTS delfin_collected_windows (
    journal text NOT NULL,
    storage_id text NOT NULL,
    until_ms bigint NOT NULL,
    batch_id bytea NOT NULL,
    seq bigint NOT NULL,
    items bigint NOT NULL,
    accepted_ms bigint NOT NULL,
    PRIMARY KEY (journal, storage_id)
);
ALTER TABLE delfin_states
    -- A text that the key of the inventory seals, so that another cluster can tell whether it has the same key; NULL until a host
    -- that knows the column has opened the inventory.
    ADD COLUMN IF NOT EXISTS key_proof bytea,
    -- Grows with each storage that another cluster moves here.
    ADD COLUMN IF NOT EXISTS arrivals bigint NOT NULL DEFAULT 0;
-- Until when the cluster that had the storage before collected from it.
ALTER TABLE delfin_storages ADD COLUMN IF NOT EXISTS collected_until_ms bigint;
CREATE TABLE IF NOT EXISTS delfin_schema (
    -- One row.
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version integer NOT NULL
);
