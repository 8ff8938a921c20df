//! Sends notifications.
//!
//! Promises: a call ends within its time; the notifications of a storage are sent in order, the
//! next one after the acknowledgement of the one before.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_snmp::{Client, Error, ErrorKind, Retry, transport::UdpHandle, v3::AuthoritativeEngine};
use delfin_plugin_api::{Failure, Host, Outcome, runtime::AsyncRuntime, stream::deadline};
use futures_util::{StreamExt, stream};
use tokio::time::timeout_at;

use crate::{
    config::{Config, NotificationKind},
    encode::{AlertNotification, TEXT_LIMITS, shorten},
    outcome::{SendResults, outcome, send_error},
    state::start_engine,
};

/// Storages whose notifications are sent at the same time.
const STORAGES: usize = 32;
/// How long an acknowledgement may take before the inform is sent again, and how often that is.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
const REPEATS: u32 = 2;

pub(crate) struct SnmpClient {
    runtime: AsyncRuntime,
    config: Config,
    /// For traps of version 3.
    engine: Option<AuthoritativeEngine>,
    client: Option<Client<UdpHandle>>,
    started: Instant,
    host: Host,
}

impl SnmpClient {
    /// A client for the receiver in `config`. It opens a socket with the first batch.
    pub(crate) fn new(config: Config, host: &Host) -> Result<Self, Failure> {
        let needs_engine = config.kind == NotificationKind::Trap
            && matches!(config.login, async_snmp::Auth::Usm(_));
        let engine = needs_engine
            .then(|| start_engine(host.state_dir(), config.engine_id.as_deref()))
            .transpose()?;
        Ok(Self {
            runtime: AsyncRuntime::new(host)?,
            config,
            engine,
            client: None,
            started: Instant::now(),
            host: host.clone(),
        })
    }

    /// Sends notifications, one for each row of the call.
    pub(crate) fn send(
        &mut self,
        notifications: Vec<AlertNotification>,
        remaining: Duration,
    ) -> Outcome {
        // Before the runtime cuts off what has no result.
        let deadline = Instant::now() + remaining * 8 / 10;
        let client = self.open(remaining)?;
        let rows = notifications.len();
        let mut storages: HashMap<String, Vec<AlertNotification>> = HashMap::new();
        for notification in notifications {
            let storage = storages.entry(notification.storage_id.clone());
            storage.or_default().push(notification);
        }
        // Hundredths of a second, which begin again at 0 after 497 days.
        let uptime = (self.started.elapsed().as_millis() / 10) as u32;
        let (client, kind) = (&client, self.config.kind);
        let sent = storages
            .into_values()
            .map(|storage| send_in_order(client, kind, uptime, storage, deadline));
        let sent = stream::iter(sent).buffer_unordered(STORAGES).concat();
        let results = self.runtime.run(remaining, sent).ok_or_else(late)?;
        let shortened = results.iter().filter(|(_, result)| *result == Ok(true));
        self.host
            .count("shortened_messages", shortened.count() as u64);
        let outcome = outcome(rows, results);
        if outcome.is_err() {
            // Asks for the engine again: one that was restarted can have an earlier time, and a
            // client takes that for a forgery.
            self.close();
        }
        outcome
    }

    /// Checks that the name of the receiver is known. SNMP has no other request for receivers of
    /// notifications.
    pub(crate) fn health(&mut self, remaining: Duration) -> Outcome {
        self.open(remaining).map(drop)
    }

    /// Closes the socket.
    pub(crate) fn close(&mut self) {
        self.client = None;
    }

    fn open(&mut self, remaining: Duration) -> Result<Client<UdpHandle>, Failure> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let address = &self.config.address;
        // The library's error about a name has no remedy.
        address.look_up(deadline(remaining))?;
        let target = (address.host().to_owned(), address.port());
        let retry = Retry::fixed(REPEATS, Duration::ZERO).unwrap_or_else(|_| Retry::none());
        let mut builder = Client::builder(target, self.config.login.clone())
            .request_timeout(ACK_TIMEOUT)
            .retry(retry)
            // A receiver cannot sign that it does not know the user or the password. Without
            // this, such an answer would be ignored, and the reason stay unknown.
            .allow_unauthenticated_v3_time_correction(true);
        if let Some(engine) = &self.engine {
            builder = builder.local_authoritative_engine(engine.clone());
        }
        match self.runtime.run(remaining, builder.connect()) {
            Some(Ok(client)) => Ok(self.client.insert(client).clone()),
            Some(Err(error)) => Err(Failure::retry(format!("`{address}`: {error}"))),
            None => Err(Failure::retry(format!("`{address}`: no socket in time"))),
        }
    }
}

/// Sends the notifications of a storage until one fails in a way that keeps the others back.
async fn send_in_order(
    client: &Client<UdpHandle>,
    kind: NotificationKind,
    uptime: u32,
    notifications: Vec<AlertNotification>,
    deadline: Instant,
) -> SendResults {
    let mut results = SendResults::new();
    for notification in notifications {
        let row = notification.row;
        let sent = send_one(client, kind, uptime, notification);
        let result = match timeout_at(deadline.into(), sent).await {
            Ok(sent) => sent.map_err(|error| send_error(&error)),
            Err(_) => Err(late()),
        };
        let goes_on = matches!(result, Ok(_) | Err(Failure::Rejected { .. }));
        results.push((row, result));
        if !goes_on {
            break;
        }
    }
    results
}

fn late() -> Failure {
    Failure::Uncertain {
        message: "no acknowledgement in time".to_owned(),
    }
}

/// Sends a notification, with shorter texts if the receiver does not accept so large a packet.
/// Returns whether texts were shortened.
async fn send_one(
    client: &Client<UdpHandle>,
    kind: NotificationKind,
    uptime: u32,
    notification: AlertNotification,
) -> Result<bool, Box<Error>> {
    let AlertNotification {
        oid, mut objects, ..
    } = notification;
    let mut limits = TEXT_LIMITS.into_iter();
    let mut is_shortened = false;
    loop {
        let sent = match kind {
            NotificationKind::Inform => client.send_inform(&oid, uptime, objects.clone()).await,
            NotificationKind::Trap => client.send_trap(&oid, uptime, objects.clone()).await,
        };
        match sent {
            Err(error) if error.kind() == ErrorKind::OutboundMessageTooLarge => {
                if !limits.any(|limit| shorten(&mut objects, limit)) {
                    return Err(error);
                }
                is_shortened = true;
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(is_shortened),
        }
    }
}
