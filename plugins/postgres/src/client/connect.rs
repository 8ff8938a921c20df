//! Opens connections.

use std::time::Duration;

use delfin_plugin_api::log;
use tokio_postgres::{Client, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{config::Config, outcome::PostgresError};

/// The longest time to connect to one address in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A new connection, which the thread of the runtime serves until its client is dropped.
pub(super) async fn connect(
    config: &Config,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Client, PostgresError> {
    let mut options = tokio_postgres::Config::new();
    let host = config.address.host();
    let found = tokio::net::lookup_host((host, config.address.port())).await;
    for address in found.map_err(|_| PostgresError::HostUnknown)? {
        options.host(host).hostaddr(address.ip());
    }
    options
        .port(config.address.port())
        .dbname(&config.database)
        .user(&config.username)
        .application_name("delfin-host")
        .connect_timeout(CONNECT_TIMEOUT);
    if let Some(password) = &config.password {
        options.password(password.reveal());
    }
    let client = match tls {
        Some(tls) => {
            let connected = options.ssl_mode(SslMode::Require).connect(tls.clone());
            let (client, connection) = connected.await.map_err(PostgresError::Connect)?;
            tokio::spawn(serve(connection));
            client
        }
        None => {
            let connected = options.ssl_mode(SslMode::Disable).connect(NoTls);
            let (client, connection) = connected.await.map_err(PostgresError::Connect)?;
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

async fn serve(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        log::debug!(error:%; "connection ended");
    }
}
