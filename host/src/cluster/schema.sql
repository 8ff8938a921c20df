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
