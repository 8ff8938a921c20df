-- Successors and priorities.
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
CREATE TABLE IF NOT EXISTS delfin_schema (
    -- One row.
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version integer NOT NULL
);
