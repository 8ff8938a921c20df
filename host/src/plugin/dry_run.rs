//! Calls that block: to check whether an exporter could start, and for `try`.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use abi_stable::std_types::{ROption, RResult, RSlice, RStr};
use delfin_plugin_api::{__glue::CHECK_EXTENSION, Failure};
use tokio::sync::oneshot::error::TryRecvError;

use super::{Call, CallResult, ExporterFactory, Instance, InstanceHost, InstanceSource, Reply};
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
    let created = Instance::create(&factory.source, &exporter.plugin, &exporter.config, host);
    let (instance, created) = created.map_err(|error| error.to_string())?;
    let deadline = Instant::now() + exporter.timeout;
    let timeout = humantime::format_duration(exporter.timeout);
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
/// it was built before plugins could, or it must not run in the host.
pub fn check_config(
    factory: &ExporterFactory,
    exporter: &ExporterConfig,
) -> Option<Result<(), String>> {
    let InstanceSource::Library(library) = &factory.source else {
        return None;
    };
    let get_extension = library.get_extension();
    let ROption::RSome(check) = get_extension(RStr::from(CHECK_EXTENSION)) else {
        return None;
    };
    let request = serde_json::json!({ "exporter": exporter.plugin, "config": exporter.config });
    let request = request.to_string();
    let (reply, checked) = channel();
    // A plugin that does not return costs this thread, and nothing else.
    thread::spawn(move || reply.send(check.call(RSlice::from_slice(request.as_bytes()))));
    Some(match checked.recv_timeout(exporter.timeout) {
        Ok(RResult::ROk(_)) => Ok(()),
        Ok(RResult::RErr(reason)) => Err(format!("refused its config: {reason}")),
        Err(RecvTimeoutError::Timeout) => {
            let timeout = humantime::format_duration(exporter.timeout);
            Err(format!("does not check its settings within {timeout}"))
        }
        Err(RecvTimeoutError::Disconnected) => Err("cannot check its settings".to_owned()),
    })
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
                return Some(CallResult {
                    outcome: Err(Failure::fatal("the thread of its instance ended")),
                    panicked: false,
                    death: None,
                    took: Duration::ZERO,
                });
            }
            Err(TryRecvError::Empty) if Instant::now() >= deadline => return None,
            Err(TryRecvError::Empty) => thread::sleep(POLL_INTERVAL),
        }
    }
}
