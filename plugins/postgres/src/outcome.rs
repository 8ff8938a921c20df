//! What an error means for the rows.
//!
//! No outcome is uncertain: rows that are written twice are there once.

use delfin_plugin_api::{
    Failure,
    text::excerpt,
    tls,
    unreachable::{self, HOST_UNKNOWN},
};
use tokio_postgres::error::DbError;

use crate::config::Config;

const MAX_REASON: usize = 500;

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    #[error("{HOST_UNKNOWN}")]
    HostUnknown,
    /// No connection was opened.
    #[error(transparent)]
    Connect(tokio_postgres::Error),
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    /// The tables are missing, or of a newer version.
    #[error("{0}")]
    Tables(String),
}

/// What the host should do, by the class of an error of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorClass {
    Retry,
    Rejected,
    Unauthorized,
    Misconfigured,
}

impl PostgresError {
    pub(crate) fn into_failure(self, config: &Config) -> Failure {
        let address = &config.address;
        match &self {
            Self::HostUnknown => Failure::retry(format!("`{address}`: {HOST_UNKNOWN}")),
            Self::Connect(error) => connect_failure(error, config),
            Self::Postgres(error) => match error.as_db_error() {
                Some(error) => database_failure(error, config),
                None => Failure::retry(format!("`{address}`: {}", chain(error))),
            },
            Self::Tables(reason) => Failure::misconfigured(format!("`{address}`: {reason}")),
        }
    }
}

fn connect_failure(error: &tokio_postgres::Error, config: &Config) -> Failure {
    if let Some(error) = error.as_db_error() {
        return database_failure(error, config);
    }
    let address = &config.address;
    if let Some(reason) = tls::reason_of(error) {
        return Failure::misconfigured(format!("`{address}`: {reason}"));
    }
    if let Some(reason) = unreachable::reason_of(error) {
        return Failure::retry(format!("`{address}`: {reason}"));
    }
    let reason = chain(error);
    if reason.contains("server does not support TLS") {
        return Failure::misconfigured(format!(
            "`{address}`: the server does not offer TLS (turn it on there, or set `tls = false`)"
        ));
    }
    if reason.contains("password missing") {
        return Failure::Unauthorized {
            message: format!("`{address}`: the server asks for a password (set `password`)"),
        };
    }
    Failure::retry(format!(
        "`{address}`: {reason} (check that the port is that of PostgreSQL)"
    ))
}

fn database_failure(error: &DbError, config: &Config) -> Failure {
    let address = &config.address;
    let code = error.code().code();
    let reason = excerpt(error.message(), MAX_REASON);
    let remedy = match code {
        "42501" => missing_right(error.message(), config),
        code => remedy(code).to_owned(),
    };
    let separator = if remedy.is_empty() { "" } else { "; " };
    let message = format!("`{address}`: {reason} (SQLSTATE {code}{separator}{remedy})");
    match class_of(code) {
        ErrorClass::Retry => Failure::retry(message),
        ErrorClass::Rejected => Failure::rejected(message),
        ErrorClass::Unauthorized => Failure::Unauthorized { message },
        ErrorClass::Misconfigured => Failure::misconfigured(message),
    }
}

/// Appendix A of PostgreSQL's manual lists the codes.
fn class_of(code: &str) -> ErrorClass {
    match (code.get(..2).unwrap_or_default(), code) {
        // A user's trigger or constraint, a value that does not fit, a row that is too long.
        ("22" | "23" | "54" | "P0", _) => ErrorClass::Rejected,
        ("28", _) => ErrorClass::Unauthorized,
        // A standby, also after a failover.
        (_, "25006")
        // Connections, rollbacks, resources (a full disk), locks, shutdowns, I/O, damaged data.
        | ("08" | "40" | "53" | "55" | "57" | "58" | "XX", _) => ErrorClass::Retry,
        // Missing databases, tables, columns and permissions.
        _ => ErrorClass::Misconfigured,
    }
}

fn remedy(code: &str) -> &'static str {
    match code {
        "53100" => "free space on the server's disk",
        "25006" => "connect to the primary server",
        "28P01" | "28000" => "check `username`, `password` and the server's `pg_hba.conf`",
        "3D000" => "create the database",
        _ => "",
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

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
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

    #[test]
    fn the_class_of_a_code_decides_what_happens_to_the_rows() {
        let check = |codes: &[&str], class: ErrorClass| {
            for code in codes {
                assert_eq!(class_of(code), class, "{code}");
            }
        };
        let retry = [
            "08006", "40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "57P01",
            "57P03", "58030", "25006", "XX001",
        ];
        check(&retry, ErrorClass::Retry);
        check(
            &["22021", "23502", "23514", "54000", "P0001"],
            ErrorClass::Rejected,
        );
        check(&["28P01", "28000"], ErrorClass::Unauthorized);
        check(
            &["3D000", "3F000", "42501", "42P01", "42703", "0A000", ""],
            ErrorClass::Misconfigured,
        );
    }
}
