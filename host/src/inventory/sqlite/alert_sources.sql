-- Version 2. Frozen: a change is a further migration.

-- How storages send traps. Also has declared storages.
CREATE TABLE alert_sources (
    storage_id BLOB    PRIMARY KEY,
    created_us INTEGER NOT NULL,
    updated_us INTEGER,
    snmp       BLOB    NOT NULL  -- sealed JSON
) STRICT;
