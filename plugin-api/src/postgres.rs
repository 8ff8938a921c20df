//! Connections to PostgreSQL, and what their errors mean.
//!
//! Promises: a connection is encrypted as configured or fails; a message names the remedy, and shows
//! no password.
//!
//! Knows nothing of tables.

use std::{fmt::Display, time::Duration};

use tokio_postgres::{Client, Config, Error, NoTls, config::SslMode, error::DbError};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use tokio_postgres;

use crate::{
    Failure,
    text::excerpt,
    tls::{self, Tls},
    unreachable,
};

/// The longest time to connect to one address in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const MAX_REASON: usize = 500;

/// Opens connections to a database.
#[derive(Clone)]
pub struct PostgresConnector {
    options: Config,
    tls: Option<MakeRustlsConnect>,
}

/// Why a database did not do what it should.
#[derive(Debug)]
pub enum PostgresError {
    /// No connection was opened.
    Connect(Error),
    /// The connection ended, or the database refused a statement.
    Statement(Error),
}

/// The remedies that differ between the users of this module, because they name settings.
#[derive(Clone, Copy)]
pub struct Remedies<'a> {
    /// The role is unknown, or its password is wrong.
    pub login: &'static str,
    /// The server asks for a password, and none is configured.
    pub password: &'static str,
    /// The role may not do what is needed. Gets the message of the server.
    pub right: &'a dyn Fn(&str) -> String,
}

/// What the host should do, by the class of an error of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorClass {
    Retry,
    Rejected,
    Unauthorized,
    Misconfigured,
}

impl PostgresConnector {
    /// `options` say where the database is and who connects. `tls` is `None` for connections without TLS.
    ///
    /// # Errors
    ///
    /// A file of `tls` cannot be used.
    pub fn new(mut options: Config, tls: Option<&Tls>) -> Result<Self, Failure> {
        let tls = tls.map(Tls::config).transpose()?;
        options
            .application_name("delfin-host")
            .connect_timeout(CONNECT_TIMEOUT)
            .ssl_mode(match tls {
                Some(_) => SslMode::Require,
                None => SslMode::Disable,
            });
        Ok(Self {
            options,
            tls: tls.map(MakeRustlsConnect::new),
        })
    }

    /// A new connection. A task of the current runtime serves it until its client is dropped.
    ///
    /// # Errors
    ///
    /// There is no connection, or the database refuses it.
    pub async fn connect(&self) -> Result<Client, PostgresError> {
        let client = match &self.tls {
            Some(tls) => {
                let connected = self.options.connect(tls.clone()).await;
                let (client, connection) = connected.map_err(PostgresError::Connect)?;
                tokio::spawn(serve(connection));
                client
            }
            None => {
                let connected = self.options.connect(NoTls).await;
                let (client, connection) = connected.map_err(PostgresError::Connect)?;
                tokio::spawn(serve(connection));
                client
            }
        };
        // A notice about a table that exists already is no news.
        client
            .batch_execute("SET client_min_messages = warning")
            .await?;
        Ok(client)
    }
}

async fn serve(connection: impl Future<Output = Result<(), Error>>) {
    if let Err(error) = connection.await {
        log::debug!(error:%; "connection ended");
    }
}

impl PostgresError {
    /// The failure, with a message that begins with the address of the database.
    #[must_use]
    pub fn into_failure(self, address: &dyn Display, remedies: &Remedies<'_>) -> Failure {
        let (Self::Connect(error) | Self::Statement(error)) = &self;
        if let Some(error) = error.as_db_error() {
            return database_failure(error, address, remedies);
        }
        match &self {
            Self::Connect(error) => connect_failure(error, address, remedies),
            Self::Statement(error) => Failure::retry(format!("`{address}`: {}", chain(error))),
        }
    }
}

impl From<Error> for PostgresError {
    fn from(error: Error) -> Self {
        Self::Statement(error)
    }
}

fn connect_failure(error: &Error, address: &dyn Display, remedies: &Remedies<'_>) -> Failure {
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
        let remedy = remedies.password;
        return Failure::Unauthorized {
            message: format!("`{address}`: the server asks for a password ({remedy})"),
        };
    }
    Failure::retry(format!(
        "`{address}`: {reason} (check that the port is that of PostgreSQL)"
    ))
}

fn database_failure(error: &DbError, address: &dyn Display, remedies: &Remedies<'_>) -> Failure {
    let code = error.code().code();
    let reason = excerpt(error.message(), MAX_REASON);
    let remedy = match code {
        "42501" => (remedies.right)(error.message()),
        code => remedy(code, remedies).to_owned(),
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

fn remedy(code: &str, remedies: &Remedies<'_>) -> &'static str {
    match code {
        "53100" => "free space on the server's disk",
        "25006" => "connect to the primary server",
        "28P01" | "28000" => remedies.login,
        "3D000" => "create the database",
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
