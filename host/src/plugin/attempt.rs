//! An instance made and closed again, only to see whether it could be.

use std::{
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_api::Failure;
use tokio::sync::oneshot::error::TryRecvError;

use super::{Call, ExporterFactory, Instance, InstanceHost, Reply};
use crate::config::ExporterConfig;

/// Makes an instance and closes it.
///
/// # Errors
///
/// Why it cannot start, in one line.
pub fn try_instance(
    offered: &ExporterFactory,
    exporter: &ExporterConfig,
    host: InstanceHost,
) -> Result<(), String> {
    let created = Instance::create(offered.root, &exporter.plugin, &exporter.config, host);
    let (instance, created) = created.map_err(|error| error.to_string())?;
    let deadline = Instant::now() + exporter.timeout;
    answer(created, deadline).map_err(|error| match error {
        Some(Failure::Misconfigured { message }) => format!("refused its config: {message}"),
        Some(failure) => format!("cannot start: {failure}"),
        None => format!(
            "does not start within {}",
            humantime::format_duration(exporter.timeout)
        ),
    })?;
    let closed = answer(instance.call(Call::Close, deadline), deadline);
    closed.map(drop).map_err(|error| match error {
        Some(failure) => format!("cannot close: {failure}"),
        None => format!(
            "does not close within {}",
            humantime::format_duration(exporter.timeout)
        ),
    })
}

/// How long a call took that went well; else its failure, or nothing if it does
/// not come back.
///
/// # Errors
///
/// The failure, or nothing.
pub fn answer(mut reply: Reply, deadline: Instant) -> Result<Duration, Option<Failure>> {
    loop {
        match reply.try_recv() {
            Ok(answer) => return answer.outcome.map(|()| answer.took).map_err(Some),
            Err(TryRecvError::Closed) => return Err(Some(Failure::fatal("its thread ended"))),
            Err(TryRecvError::Empty) if Instant::now() >= deadline => return Err(None),
            Err(TryRecvError::Empty) => thread::sleep(Duration::from_micros(200)),
        }
    }
}
