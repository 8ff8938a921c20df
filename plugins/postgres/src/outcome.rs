//! What an error means for the rows.
//!
//! No outcome is uncertain: rows that are written twice are there once.

use delfin_plugin_api::{
    Failure,
    stream::Address,
    text::excerpt,
    tls,
    unreachable::{self, HOST_UNKNOWN},
};
use tokio_postgres::error::DbError;

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
    pub(crate) fn into_failure(self, address: &Address) -> Failure {
        match &self {
            Self::HostUnknown => Failure::retry(format!("`{address}`: {HOST_UNKNOWN}")),
            Self::Connect(error) => connect_failure(error, address),
            Self::Postgres(error) => match error.as_db_error() {
                Some(error) => database_failure(error, address),
                None => Failure::retry(format!("`{address}`: {}", chain(error))),
            },
            Self::Tables(reason) => Failure::misconfigured(format!("`{address}`: {reason}")),
        }
    }
}

fn connect_failure(error: &tokio_postgres::Error, address: &Address) -> Failure {
    if let Some(error) = error.as_db_error() {
        return database_failure(error, address);
    }
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

fn database_failure(error: &DbError, address: &Address) -> Failure {
    let code = error.code().code();
    let reason = excerpt(error.message(), MAX_REASON);
    let message = match remedy(code) {
        "" => format!("`{address}`: {reason} (SQLSTATE {code})"),
        remedy => format!("`{address}`: {reason} (SQLSTATE {code}; {remedy})"),
    };
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
        "42501" => {
            "grant the role `CREATE` on the schema, or create the tables and set `create_tables = false`"
        }
        _ => "",
    }
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
