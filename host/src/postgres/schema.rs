//! The version of the tables.
//!
//! Promises: tables of an older host are brought to the version of this one, without a change that a running older host would
//! notice; tables of a newer host are refused. The version is that of a host, and all clusters of a database share the tables.

use delfin_plugin_api::postgres::tokio_postgres::{self, Client};

use super::StoreError;

/// The script at place n brings the tables from version n to n + 1; version 0 is a database without tables.
const STEPS: [&str; 2] = [include_str!("schema.sql"), include_str!("schema_2.sql")];

/// Whether there are tables, and whether they have a version: those of version 1 have none.
const ARE_KNOWN: &str =
    "SELECT to_regclass('delfin_tokens') IS NOT NULL, to_regclass('delfin_schema') IS NOT NULL";

const SET_VERSION: &str = "INSERT INTO delfin_schema (version) VALUES ($1)
    ON CONFLICT (is_only) DO UPDATE SET version = excluded.version";

/// Keeps other members from changing the tables at the same time.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4993447467)";

/// The version of this host.
const fn wanted() -> i32 {
    STEPS.len() as i32
}

/// Makes the tables, or brings them to the version of this host, in the transaction of the connection.
pub(super) async fn bring_up_to_date(client: &Client) -> Result<(), StoreError> {
    if missing_steps(version(client).await?)?.is_empty() {
        return Ok(());
    }
    client.batch_execute(LOCK).await?;
    // Another member may have been quicker.
    let steps = missing_steps(version(client).await?)?;
    for step in steps {
        client.batch_execute(step).await?;
    }
    client.execute(SET_VERSION, &[&wanted()]).await?;
    Ok(())
}

fn missing_steps(found: i32) -> Result<&'static [&'static str], StoreError> {
    let steps = usize::try_from(found)
        .ok()
        .and_then(|found| STEPS.get(found..));
    steps.ok_or(StoreError::NewerTables {
        found,
        wanted: wanted(),
    })
}

async fn version(client: &Client) -> Result<i32, tokio_postgres::Error> {
    let known = client.query_one(ARE_KNOWN, &[]).await?;
    if known.get(1) {
        let row = client
            .query_opt("SELECT version FROM delfin_schema", &[])
            .await?;
        return Ok(row.map_or(1, |row| row.get(0)));
    }
    Ok(i32::from(known.get::<_, bool>(0)))
}
