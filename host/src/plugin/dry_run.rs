//! Calls that block: to check whether an exporter could start, and for `try`.

use std::{
    thread,
    time::{Duration, Instant},
};

use delfin_plugin_api::Failure;
use tokio::sync::oneshot::error::TryRecvError;

use super::{Call, CallResult, ExporterFactory, Instance, InstanceHost, InstanceSettings, Reply};
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
    let instance = Instance::start(&factory.source, host).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + factory.source.start_time() + exporter.timeout;
    let timeout = humantime::format_duration(exporter.timeout);
    let created = instance.call(Call::Create(InstanceSettings::of(exporter)), deadline);
    wait_for(created, deadline).map_err(|error| match error {
        Some(Failure::Misconfigured { message }) => format!("refused its config: {message}"),
        Some(failure) => format!("cannot start: {failure}"),
        None => format!("does not start within {timeout}"),
    })?;
    let closed = wait_for(instance.call(Call::Close, deadline), deadline);
    closed.map_err(|error| match error {
        Some(failure) => format!("cannot close: {failure}"),
        None => format!("does not close within {timeout}"),
    })
}

/// Checks the settings of an exporter without an instance. `None` if its plugin cannot:
/// it was built before plugins could.
pub fn check_config(
    factory: &ExporterFactory,
    exporter: &ExporterConfig,
    host: InstanceHost,
) -> Option<Result<(), String>> {
    let instance = match Instance::start(&factory.source, host) {
        Ok(instance) => instance,
        Err(error) => return Some(Err(error.to_string())),
    };
    let deadline = Instant::now() + factory.source.start_time() + exporter.timeout;
    let mut reply = instance.call(Call::Check(InstanceSettings::of(exporter)), deadline);
    let Some(result) = wait_for_result(&mut reply, deadline) else {
        instance.on_deadline();
        let timeout = humantime::format_duration(exporter.timeout);
        return Some(Err(format!("does not check its settings within {timeout}")));
    };
    if result.is_unsupported {
        return None;
    }
    Some(result.outcome.map_err(|failure| match failure {
        Failure::Misconfigured { message } => format!("refused its config: {message}"),
        failure => format!("cannot check its settings: {failure}"),
    }))
}

/// The failure of the call; `None` if the call does not return by the deadline.
fn wait_for(mut reply: Reply, deadline: Instant) -> Result<(), Option<Failure>> {
    let result = wait_for_result(&mut reply, deadline).ok_or(None)?;
    result.outcome.map_err(Some)
}

/// Blocks until a call returns; `None` if it does not return by the deadline.
pub fn wait_for_result(reply: &mut Reply, deadline: Instant) -> Option<CallResult> {
    loop {
        match reply.try_recv() {
            Ok(result) => return Some(result),
            Err(TryRecvError::Closed) => {
                let failure = Failure::fatal("the thread of its instance ended");
                return Some(CallResult::new(Err(failure)));
            }
            Err(TryRecvError::Empty) if Instant::now() >= deadline => return None,
            Err(TryRecvError::Empty) => thread::sleep(POLL_INTERVAL),
        }
    }
}
