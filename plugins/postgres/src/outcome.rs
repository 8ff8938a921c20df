//! What an error means for the rows.
//!
//! No outcome is uncertain: rows that are written twice are there once.

use delfin_plugin_api::{
    Failure,
    postgres::{PostgresError, Remedies},
};

use crate::config::Config;

/// Why rows were not written.
#[derive(Debug)]
pub(crate) enum PostgresWriteError {
    Postgres(PostgresError),
    /// The tables are missing, or of a newer version.
    Tables(String),
}

impl PostgresWriteError {
    pub(crate) fn into_failure(self, config: &Config) -> Failure {
        let address = &config.address;
        match self {
            Self::Postgres(error) => error.into_failure(
                address,
                &Remedies {
                    login: "check `username`, `password` and the server's `pg_hba.conf`",
                    password: "set `password`",
                    right: &|message| missing_right(message, config),
                },
            ),
            Self::Tables(reason) => Failure::misconfigured(format!("`{address}`: {reason}")),
        }
    }
}

impl<E: Into<PostgresError>> From<E> for PostgresWriteError {
    fn from(error: E) -> Self {
        Self::Postgres(error.into())
    }
}

/// Which right the role needs, by the kind of object that the server names. A server with messages
/// in another language names it too, but the kind cannot be read there.
fn missing_right(message: &str, config: &Config) -> String {
    let Config {
        username,
        schema,
        database,
        ..
    } = config;
    let grant = |right: &str, on: &str| format!("GRANT {right} ON {on} TO {username}");
    let create_tables = "or create the tables yourself and set `create_tables = false`";
    let in_schema = grant("USAGE, CREATE", &format!("SCHEMA {schema}"));
    let of_tables = grant(
        "SELECT, INSERT, UPDATE",
        &format!("ALL TABLES IN SCHEMA {schema}"),
    );
    if message.contains("temporary") {
        return grant("TEMPORARY", &format!("DATABASE {database}"));
    }
    if message.contains("must be owner") {
        return format!("let {username} own the tables, {create_tables}");
    }
    if message.contains(" for schema ") {
        return format!("{in_schema}, {create_tables}");
    }
    if message.contains(" for database ") {
        let on = grant("CREATE", &format!("DATABASE {database}"));
        return format!("{on}, or create the schema `{schema}`");
    }
    if [" for table ", " for relation ", " for view "]
        .iter()
        .any(|kind| message.contains(kind))
    {
        return of_tables;
    }
    format!("{in_schema}, and {of_tables}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named() {
        let config = serde_json::json!({ "address": "a", "username": "u", "schema": "s" });
        let config: Config = serde_json::from_value(config).unwrap();
        let check = |message: &str, right: &str| {
            let remedy = missing_right(message, &config);
            assert!(remedy.starts_with(right), "{remedy}");
        };
        check(
            "permission denied for schema s",
            "GRANT USAGE, CREATE ON SCHEMA s TO u, or create",
        );
        check(
            "permission denied for table delfin_points",
            "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA s TO u",
        );
        check(
            "permission denied for database delfin",
            "GRANT CREATE ON DATABASE delfin TO u, or",
        );
        check(
            "permission denied to create temporary tables in database \"delfin\"",
            "GRANT TEMPORARY ON DATABASE delfin TO u",
        );
        check("must be owner of view v", "let u own the tables");
        check("keine Berechtigung", "GRANT USAGE, CREATE ON SCHEMA s");
    }
}
