-- Version 1 of the tables. {schema} is replaced by the configured schema.
CREATE TABLE IF NOT EXISTS {schema}.delfin_version (
    version integer NOT NULL
);
CREATE TABLE IF NOT EXISTS {schema}.delfin_series (
    series_id uuid PRIMARY KEY,
    name text NOT NULL,
    storage_id text,
    storage_name text,
    resource_type text,
    resource_id text,
    resource_name text,
    unit text,
    labels jsonb NOT NULL
);
CREATE TABLE IF NOT EXISTS {schema}.delfin_points (
    time timestamptz NOT NULL,
    series_id uuid NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (series_id, time)
);
CREATE INDEX IF NOT EXISTS delfin_points_time ON {schema}.delfin_points USING brin (time);
CREATE OR REPLACE VIEW {schema}.delfin_performance AS
    SELECT p.time, p.value, s.*
    FROM {schema}.delfin_points p JOIN {schema}.delfin_series s USING (series_id);
CREATE TABLE IF NOT EXISTS {schema}.delfin_alerts (
    id uuid PRIMARY KEY,
    active boolean NOT NULL,
    accepted_time timestamptz NOT NULL,
    occur_time timestamptz,
    storage_id text,
    storage_name text,
    vendor text,
    model text,
    serial_number text,
    alert_id text,
    alert_name text,
    sequence_number text,
    category text,
    severity text,
    type text,
    resource_type text,
    location text,
    description text,
    recovery_advice text,
    match_key text,
    extra jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS delfin_alerts_active ON {schema}.delfin_alerts (storage_id) WHERE active;
