//! Trials: whether an exporter accepts its settings, or can start, before it is used.
//!
//! What was tried can be used afterwards, so that nothing is created twice. All waits block.

use std::time::{Duration, Instant};

use delfin_plugin_api::{Failure, Outcome};

use super::{
    Call, CallResult, ExporterFactory, Instance, InstanceHost, InstanceSettings, wait_for_result,
};
use crate::config::ExporterConfig;

/// A process or thread, on trial.
#[derive(Debug)]
pub struct Trial {
    instance: Instance,
    host: InstanceHost,
    has_started: bool,
    settings: InstanceSettings,
    timeout: Duration,
    /// In addition to the timeout of the first call.
    start_time: Duration,
}

/// A process or thread that was tried, for an exporter to use.
#[derive(Debug)]
pub struct Candidate {
    pub instance: Instance,
    /// What the host lends to it.
    pub host: InstanceHost,
    /// Whether the instance is created.
    pub has_started: bool,
}

impl Trial {
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub fn start(
        factory: &ExporterFactory,
        exporter: &ExporterConfig,
        host: InstanceHost,
    ) -> Result<Self, String> {
        let instance = Instance::start(&factory.source.on_trial(), host.clone());
        Ok(Self {
            instance: instance.map_err(|error| format!("cannot start: {error}"))?,
            host,
            has_started: false,
            settings: InstanceSettings::of(exporter),
            timeout: exporter.timeout,
            start_time: factory.source.start_time(),
        })
    }

    /// Checks the settings without an instance. Returns false if the plugin cannot: it was
    /// built before plugins could.
    ///
    /// # Errors
    ///
    /// Why the plugin refuses the settings, in one line.
    pub fn check(&self) -> Result<bool, String> {
        let checked = self.call(Call::Check(self.settings.clone()), self.start_time);
        let result = checked.map_err(|late| format!("does not check its settings {late}"))?;
        if result.is_unsupported {
            return Ok(false);
        }
        accepted(result.outcome, "cannot start")?;
        Ok(true)
    }

    /// Creates an instance.
    ///
    /// # Errors
    ///
    /// Why the exporter cannot start, in one line.
    pub fn create(&mut self) -> Result<(), String> {
        let created = self.call(Call::Create(self.settings.clone()), self.start_time);
        let result = created.map_err(|late| format!("does not start {late}"))?;
        accepted(result.outcome, "cannot start")?;
        self.has_started = true;
        Ok(())
    }

    /// Asks the instance whether its receiver is available.
    ///
    /// # Errors
    ///
    /// Why it is not, in one line.
    pub fn health(&self) -> Result<(), String> {
        let checked = self.call(Call::Health, Duration::ZERO);
        let result = checked.map_err(|late| format!("does not answer {late}"))?;
        result.outcome.map_err(|failure| failure.to_string())
    }

    /// Closes the instance.
    ///
    /// # Errors
    ///
    /// Why that fails, in one line.
    pub fn close(self) -> Result<(), String> {
        let closed = self.call(Call::Close, Duration::ZERO);
        let result = closed.map_err(|late| format!("does not close {late}"))?;
        accepted(result.outcome, "cannot close")
    }

    /// What was tried, for use.
    #[must_use]
    pub fn into_candidate(self) -> Candidate {
        Candidate {
            instance: self.instance,
            host: self.host,
            has_started: self.has_started,
        }
    }

    /// The error says how long the call was waited for.
    fn call(&self, call: Call, start_time: Duration) -> Result<CallResult, String> {
        let deadline = Instant::now() + start_time + self.timeout;
        let mut reply = self.instance.call(call, deadline);
        wait_for_result(&mut reply, deadline).ok_or_else(|| {
            self.instance.cancel();
            format!("within {}", humantime::format_duration(self.timeout))
        })
    }
}

fn accepted(outcome: Outcome, what: &str) -> Result<(), String> {
    outcome.map_err(|failure| match failure {
        Failure::Misconfigured { message } => format!("refused its config: {message}"),
        failure => format!("{what}: {failure}"),
    })
}
