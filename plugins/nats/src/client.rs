//! Publishes messages.
//!
//! Promises: a call ends within its time; messages are published in order; a row counts as
//! delivered only after its acknowledgement.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions, Event, HeaderMap,
    connection::State,
    header::NATS_MESSAGE_ID,
    jetstream::{self, context::PublishAckFuture},
};
use delfin_plugin_api::{
    Failure, Host, Outcome, log,
    message::{EncodedMessage, MessageClient, MessageResults},
    runtime::AsyncRuntime,
    setting::{unreadable_file, unusable_file},
    unreachable::NOT_IN_TIME,
};

use crate::{
    config::{NatsConfig, NatsLogin},
    outcome::{connect_failure, permission_failure, set_failed},
};

/// Messages that wait for an acknowledgement.
const WINDOW: usize = 256;
/// A stream acknowledges within milliseconds, unless it has no leader.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct NatsClient {
    runtime: AsyncRuntime,
    config: NatsConfig,
    /// `None` before the first call, and after a failure.
    client: Option<Client>,
    /// The last error that the server has reported.
    server_error: Arc<Mutex<Option<String>>>,
}

impl MessageClient for NatsClient {
    type Config = NatsConfig;

    fn check(config: NatsConfig) -> Outcome {
        options(&config).map(drop)
    }

    fn new(config: NatsConfig, host: &Host) -> Result<Self, Failure> {
        if config.tls.is_none() && config.login.is_sent() {
            for server in &config.servers {
                server.warn_of_plain_credentials("remove `tls = false`");
            }
        }
        options(&config)?;
        Ok(Self {
            runtime: AsyncRuntime::new(host)?,
            config,
            client: None,
            server_error: Arc::default(),
        })
    }

    fn send(&mut self, messages: Vec<EncodedMessage>, rows: usize, time: Duration) -> Outcome {
        let mut results = MessageResults::new(rows);
        let started = std::time::Instant::now();
        let client = self.open(time)?;
        let time = time.saturating_sub(started.elapsed());
        let published = publish(&client, messages, &mut results);
        if self.runtime.run(time, published).is_none() {
            results.set_failure(Failure::Uncertain {
                message: "no acknowledgement in time".to_owned(),
            });
        }
        // The server reports a missing permission only by itself, in place of an acknowledgement.
        let server_error = self.server_error().take();
        if let Some(failure) = server_error.and_then(permission_failure)
            && results.has_failed()
        {
            results.set_failure(failure);
        }
        let outcome = results.into_outcome();
        if outcome.is_err() {
            self.client = None;
        }
        outcome
    }

    fn health(&mut self, time: Duration) -> Outcome {
        let client = self.open(time)?;
        let failed = match self.runtime.run(time, client.flush()) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => error.to_string(),
            None => "does not answer in time".to_owned(),
        };
        self.client = None;
        Err(Failure::retry(format!(
            "`{}`: {failed}",
            self.servers().join(", ")
        )))
    }

    fn close(&mut self) {
        self.client = None;
    }
}

impl NatsClient {
    /// The open connection, or a new one.
    fn open(&mut self, time: Duration) -> Result<Client, Failure> {
        let is_open = |client: &Client| client.connection_state() == State::Connected;
        if let Some(client) = self.client.take().filter(is_open) {
            return Ok(self.client.insert(client).clone());
        }
        let servers = self.servers();
        let options = self.options()?;
        let connected = self.runtime.run(time, options.connect(&servers));
        let servers = servers.join(", ");
        let client = match connected {
            Some(Ok(client)) => client,
            Some(Err(error)) => {
                let remedy = self.config.login.remedy();
                return Err(connect_failure(&error, &servers, remedy));
            }
            None => return Err(Failure::retry(format!("`{servers}`: {NOT_IN_TIME}"))),
        };
        Ok(self.client.insert(client).clone())
    }

    fn servers(&self) -> Vec<String> {
        self.config
            .servers
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn options(&self) -> Result<ConnectOptions, Failure> {
        let server_error = Arc::clone(&self.server_error);
        let options = options(&self.config)?;
        Ok(options.event_callback(move |event| {
            let server_error = Arc::clone(&server_error);
            async move {
                log::debug!(event:%; "connection event");
                if let Event::ServerError(error) = event {
                    *server_error.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(error.to_string());
                }
            }
        }))
    }

    fn server_error(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        let error = self.server_error.lock();
        error.unwrap_or_else(PoisonError::into_inner)
    }
}

/// How to connect. Reads the files of the settings.
fn options(config: &NatsConfig) -> Result<ConnectOptions, Failure> {
    let mut options = ConnectOptions::new()
        .name("delfin-host")
        .connection_timeout(CONNECT_TIMEOUT)
        // Each server once. A call that fails opens a new connection.
        .max_reconnects(config.servers.len());
    if let Some(tls) = &config.tls {
        options = options.require_tls(true).tls_client_config(tls.config()?);
    }
    Ok(match &config.login {
        NatsLogin::None => options,
        NatsLogin::Password { username, password } => {
            options.user_and_password(username.clone(), password.reveal().to_owned())
        }
        NatsLogin::Token(token) => options.token(token.reveal().to_owned()),
        NatsLogin::Nkey(seed) => options.nkey(seed.reveal().to_owned()),
        NatsLogin::Credentials(path) => {
            const KEY: &str = "credentials";
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| unreadable_file(KEY, path, &error))?;
            // The library's error is not shown: it may quote the file.
            let with_login = options.credentials(&text);
            with_login.map_err(|_| {
                let reason = "it holds no credentials of NATS (name a file that `nsc` has made)";
                unusable_file(KEY, path, &reason)
            })?
        }
    })
}

/// Publishes messages until one fails, and enters the results of all that were sent.
async fn publish(client: &Client, messages: Vec<EncodedMessage>, results: &mut MessageResults) {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(ACK_TIMEOUT);
    let mut waiting: VecDeque<(Vec<usize>, String, PublishAckFuture)> = VecDeque::new();
    for message in messages {
        if waiting.len() == WINDOW && !acknowledge(&mut waiting, results).await {
            break;
        }
        let EncodedMessage {
            name: subject,
            id,
            content_type,
            batch_id,
            origin,
            payload,
            rows,
        } = message;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id);
        headers.insert("content-type", content_type);
        headers.insert("source", "delfin-host");
        headers.insert("origin", origin);
        headers.insert("batch-id", batch_id);
        results.set_sent(&rows);
        let sent = context
            .publish_with_headers(subject.clone(), headers, payload.into())
            .await;
        match sent {
            Ok(acknowledgement) => waiting.push_back((rows, subject, acknowledgement)),
            Err(error) => {
                if !set_failed(results, &rows, &subject, &error) {
                    break;
                }
            }
        }
    }
    while !waiting.is_empty() && acknowledge(&mut waiting, results).await {}
}

/// Waits for the oldest message, and returns whether to go on.
async fn acknowledge(
    waiting: &mut VecDeque<(Vec<usize>, String, PublishAckFuture)>,
    results: &mut MessageResults,
) -> bool {
    let Some((rows, subject, acknowledgement)) = waiting.pop_front() else {
        return true;
    };
    match acknowledgement.await {
        Ok(_) => {
            results.set_delivered(&rows);
            true
        }
        Err(error) => set_failed(results, &rows, &subject, &error),
    }
}
