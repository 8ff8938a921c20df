//! Calls that block: to check whether an exporter could start, and for `try`.

use std::{
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_api::Failure;
use tokio::sync::oneshot::error::TryRecvError;

use super::{Call, ExporterFactory, Instance, InstanceHost, Reply};
use crate::config::ExporterConfig;

/// How often a pending reply is checked.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Creates an instance and closes it.
///
/// # Errors
///
/// Why the exporter cannot start, in one line.
pub fn check_start(
    factory: &ExporterFactory,
    exporter: &ExporterConfig,
    host: InstanceHost,
) -> Result<(), String> {
    let created = Instance::create(factory.root, &exporter.plugin, &exporter.config, host);
    let (instance, created) = created.map_err(|error| error.to_string())?;
    let deadline = Instant::now() + exporter.timeout;
    let timeout = humantime::format_duration(exporter.timeout);
    wait_for(created, deadline).map_err(|error| match error {
        Some(Failure::Misconfigured { message }) => format!("refused its config: {message}"),
        Some(failure) => format!("cannot start: {failure}"),
        None => format!("does not start within {timeout}"),
    })?;
    let closed = wait_for(instance.call(Call::Close, deadline), deadline);
    closed.map(drop).map_err(|error| match error {
        Some(failure) => format!("cannot close: {failure}"),
        None => format!("does not close within {timeout}"),
    })
}

/// Blocks until a call returns. Returns how long the call took.
///
/// # Errors
///
/// The failure of the call; `None` if the call does not return by the deadline.
pub fn wait_for(mut reply: Reply, deadline: Instant) -> Result<Duration, Option<Failure>> {
    loop {
        match reply.try_recv() {
            Ok(result) => return result.outcome.map(|()| result.took).map_err(Some),
            Err(TryRecvError::Closed) => {
                return Err(Some(Failure::fatal("the thread of its instance ended")));
            }
            Err(TryRecvError::Empty) if Instant::now() >= deadline => return Err(None),
            Err(TryRecvError::Empty) => thread::sleep(POLL_INTERVAL),
        }
    }
}
