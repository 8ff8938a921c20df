//! Makes the tables, and checks their version.

use delfin_plugin_api::postgres::tokio_postgres::Client;

use crate::{config::Config, outcome::PostgresWriteError};

/// The version of the tables that this plugin writes to.
const VERSION: i32 = 1;
const TABLES: &str = include_str!("schema.sql");

/// Keeps other instances from making the tables at the same time.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4993447466)";

/// SQL for the configured schema.
pub(super) fn with_schema(sql: &str, config: &Config) -> String {
    sql.replace("{schema}", &config.schema)
}

/// Makes the tables if they are missing.
pub(super) async fn ensure(client: &Client, config: &Config) -> Result<(), PostgresWriteError> {
    make(client, config, "COMMIT").await
}

/// Checks that the tables are there or can be made, and makes none.
pub(super) async fn check(client: &Client, config: &Config) -> Result<(), PostgresWriteError> {
    make(client, config, "ROLLBACK").await
}

/// Makes the tables if they are missing, in a transaction that ends with this command.
async fn make(client: &Client, config: &Config, end: &str) -> Result<(), PostgresWriteError> {
    if version(client, config).await?.is_some() {
        return Ok(());
    }
    let schema = &config.schema;
    if !config.create_tables {
        return Err(PostgresWriteError::Tables(format!(
            "schema `{schema}` has no tables of delfin-host (create them, or set `create_tables = true`)"
        )));
    }
    client.batch_execute("BEGIN").await?;
    client.batch_execute(LOCK).await?;
    if version(client, config).await?.is_none() {
        let known = client
            .query_one("SELECT to_regnamespace($1) IS NOT NULL", &[schema])
            .await?;
        if !known.get::<_, bool>(0) {
            let create = with_schema("CREATE SCHEMA {schema}", config);
            client.batch_execute(&create).await?;
        }
        client.batch_execute(&with_schema(TABLES, config)).await?;
        let insert = format!("INSERT INTO {schema}.delfin_version VALUES ({VERSION})");
        client.batch_execute(&insert).await?;
    }
    client.batch_execute(end).await?;
    Ok(())
}

/// The version of the tables; `None` if there are none.
async fn version(client: &Client, config: &Config) -> Result<Option<i32>, PostgresWriteError> {
    let schema = &config.schema;
    let table = format!("{schema}.delfin_version");
    let known = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
        .await?;
    if !known.get::<_, bool>(0) {
        return Ok(None);
    }
    let found = client
        .query_one(&format!("SELECT max(version) FROM {table}"), &[])
        .await?;
    match found.get::<_, Option<i32>>(0) {
        Some(version) if version > VERSION => Err(PostgresWriteError::Tables(format!(
            "the tables in schema `{schema}` have version {version}, and this plugin knows {VERSION} (use a newer plugin, or another schema)"
        ))),
        found => Ok(found),
    }
}
