//! Opens a library in a process of its own before the host opens it.
//!
//! The constructors of a library run when it is opened, before the host can call anything in
//! it. One that crashes, ends the process or never returns would take the host with it. An
//! exporter in a process needs no probe: its process is one.

use std::{sync::Arc, time::Instant};

use delfin_plugin_api::redact::Redactor;
use delfin_plugin_loader::{PreparedPlugin, Reason};

use super::{
    call::{Call, InstanceSettings, wait_for_result},
    host::InstanceHost,
    instance::{Instance, InstanceSource},
    process::{ProcessRole, ProcessSource},
};
use crate::config::ExporterConfig;

/// Opens the library of an exporter, in a process that ends afterwards.
///
/// # Errors
///
/// The process has ended, or the library does not open in time. If it ends with an error, so
/// does opening it in the host.
pub(super) fn probe(
    plugin: &PreparedPlugin,
    exporter: &ExporterConfig,
    redactor: &Redactor,
) -> Result<(), Reason> {
    let unusable = |reason: String| Reason::Unusable { reason };
    let source = InstanceSource::Process(Arc::new(ProcessSource {
        plugin: plugin.clone(),
        role: ProcessRole::Exporter,
        limits: exporter.limits,
        timeout: exporter.timeout,
    }));
    let host = InstanceHost::new(&exporter.name, redactor, String::new());
    let instance = Instance::start(&source, host);
    let instance = instance.map_err(|error| unusable(format!("it cannot be probed: {error}")))?;
    // The check opens the library first. What it says of the settings is found again when
    // the instance is created.
    let timeout = exporter.timeout + source.start_time();
    let deadline = Instant::now() + timeout;
    let check = Call::Check(InstanceSettings::of(exporter));
    let mut reply = instance.call(check, deadline);
    let Some(result) = wait_for_result(&mut reply, deadline) else {
        instance.cancel();
        let timeout = humantime::format_duration(timeout);
        return Err(unusable(format!("it does not open within {timeout}")));
    };
    match result.death {
        Some(death) => Err(unusable(format!("while it was opened, {death}"))),
        None => Ok(()),
    }
}
