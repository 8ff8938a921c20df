//! A driver that asks a process.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use delfin_plugin_protocol::{
    ClearAlertMessage, CollectMessage, DriverRequest, ListAlertsMessage, ListResourcesMessage,
    OpenMessage, ParseTrapMessage,
};

use super::{
    answer::{Answer, UncheckedPayload},
    described, payload,
    process::{DriverProcess, MakeRequest},
    processes::StartedWith,
    requests,
    sources::{DriverModel, DriverSource, DriverSources},
};
use crate::{
    collect::{
        AlertBuilder, Capabilities, Driver, DriverError, DriverOptions, DriverTarget,
        ResourceFields, ResourceKind, SeriesBuilder, StorageInfo, TimeWindow, redactor_of,
    },
    config::ProcessLimits,
    plugin::{
        host::InstanceHost,
        process::{ProcessRole, ProcessSource, START_TIME},
    },
};

/// Asks one storage through a process of its own, which is replaced when it fails, and when a
/// reload has found another version of the plugin.
pub(super) struct PluginDriver {
    model: DriverModel,
    sources: Arc<DriverSources>,
    options: DriverOptions,
    interval: Option<Duration>,
    host: InstanceHost,
    open: Option<OpenDriver>,
}

struct OpenDriver {
    process: DriverProcess,
    source: Arc<DriverSource>,
    limits: ProcessLimits,
    started_with: StartedWith,
}

impl PluginDriver {
    /// A driver whose process is started at the first call.
    pub(super) fn new(
        model: DriverModel,
        sources: Arc<DriverSources>,
        target: &DriverTarget<'_>,
    ) -> Result<Self, DriverError> {
        let source = sources.source(&model).ok_or_else(removed)?;
        for kind in &source.access {
            if !target
                .options
                .get(kind)
                .is_some_and(|access| access.is_object())
            {
                return Err(DriverError::Option {
                    option: kind.clone(),
                    reason: "it is missing, and the driver needs it".to_owned(),
                });
            }
        }
        let folder = sources.state_dir.join(target.storage_id);
        let redactor = redactor_of(target.options);
        let folder = folder.display().to_string();
        Ok(Self {
            model,
            options: target.options.clone(),
            interval: target.interval,
            host: InstanceHost::of_driver(target.storage_id, &redactor, folder),
            sources,
            open: None,
        })
    }

    /// Makes a call; opens the driver before, if it is not open.
    fn call(&mut self, action: &'static str, make: MakeRequest) -> Result<Answer, DriverError> {
        let opened = match self.opened()? {
            Some(opened) => opened,
            None => self.start()?,
        };
        let answer = opened.process.call(opened.source.timeout, make);
        let started_with = opened.started_with;
        // A process that has ended is not used again.
        self.open = (!matches!(answer, Answer::Ended(_))).then_some(opened);
        self.checked(action, answer, started_with)
    }

    /// The open driver, unless the plugin has another version or the process other limits now.
    fn opened(&mut self) -> Result<Option<OpenDriver>, DriverError> {
        let Some(opened) = self.open.take() else {
            return Ok(None);
        };
        // A process whose plugin was removed goes on.
        let current = self.sources.source(&self.model);
        let is_current = current.is_none_or(|current| Arc::ptr_eq(&current, &opened.source));
        let limits = self.sources.process_limits(&self.host.exporter);
        Ok((is_current && limits == opened.limits).then_some(opened))
    }

    /// Starts a process, and opens the driver in it.
    fn start(&mut self) -> Result<OpenDriver, DriverError> {
        let source = self.sources.source(&self.model).ok_or_else(removed)?;
        let limits = self.sources.process_limits(&self.host.exporter);
        let started_with = StartedWith::new(&source.sha256, limits, &self.options);
        let processes = &self.sources.processes;
        if let Some(reason) = processes.pause(&self.host.exporter, started_with) {
            return Err(DriverError::Failed { reason });
        }
        let failed = |error: std::io::Error| DriverError::Failed {
            reason: format!("the driver process cannot be started: {error}"),
        };
        fs::create_dir_all(PathBuf::from(&self.host.state_dir)).map_err(failed)?;
        self.host.process = self.sources.processes.process(&self.host.exporter);
        let limit = self.sources.limits.max_decompressed_bytes;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let process_source = Arc::new(ProcessSource {
            plugin: source.plugin.clone(),
            role: ProcessRole::Driver,
            limits,
            timeout: source.timeout,
        });
        let process =
            DriverProcess::start(&process_source, self.host.clone(), limit).map_err(failed)?;
        let open = self.open_message();
        let make: MakeRequest = Box::new(move |id, deadline_ms| {
            DriverRequest::Open(OpenMessage {
                id,
                deadline_ms,
                ..open
            })
        });
        let answer = process.call(source.timeout + START_TIME, make);
        self.checked("open", answer, started_with)?;
        Ok(OpenDriver {
            process,
            source,
            limits,
            started_with,
        })
    }

    fn open_message(&self) -> OpenMessage {
        let interval = self.interval.map(|interval| interval.as_millis());
        OpenMessage {
            id: 0,
            deadline_ms: 0,
            vendor: self.model.vendor.clone(),
            model: self.model.model.clone(),
            storage_id: self.host.exporter.clone(),
            state_dir: self.host.state_dir.clone(),
            level: self.host.level().as_str().to_lowercase(),
            interval_ms: interval.and_then(|millis| u64::try_from(millis).ok()),
            options: self.options.clone(),
        }
    }

    /// The answer of a call that has succeeded. The error is that of the call, or that the process has failed.
    fn checked(
        &self,
        action: &'static str,
        answer: Answer,
        started_with: StartedWith,
    ) -> Result<Answer, DriverError> {
        let (processes, id) = (&self.sources.processes, &self.host.exporter);
        match answer {
            Answer::Done | Answer::Value(_) | Answer::Payload(_) => {
                if action != "open" {
                    processes.succeeded(id);
                }
                Ok(answer)
            }
            Answer::Failed(error) => Err(error),
            Answer::Unsupported(reason) => Err(DriverError::Unsupported {
                action,
                reason: reason.into(),
            }),
            Answer::Ended(end) => {
                processes.failed(id, started_with, end.reason, &end.text);
                Err(DriverError::Failed { reason: end.text })
            }
        }
    }

    fn batch(
        &mut self,
        action: &'static str,
        make: MakeRequest,
    ) -> Result<UncheckedPayload, DriverError> {
        match self.call(action, make)? {
            Answer::Payload(payload) => Ok(payload),
            _ => Err(DriverError::BadAnswer {
                reason: format!("the answer to `{action}` has no batch"),
            }),
        }
    }

    fn value(
        &mut self,
        action: &'static str,
        make: MakeRequest,
    ) -> Result<serde_json::Value, DriverError> {
        match self.call(action, make)? {
            Answer::Value(value) => Ok(value),
            _ => Err(DriverError::BadAnswer {
                reason: format!("the answer to `{action}` has no value"),
            }),
        }
    }
}

impl Driver for PluginDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        let value = self.value("identify", Box::new(requests::identify))?;
        described::storage(value, &self.model.vendor, &self.model.model)
    }

    fn capabilities(&mut self) -> Result<Capabilities, DriverError> {
        let value = self.value("capabilities", Box::new(requests::capabilities))?;
        described::capabilities(value)
    }

    fn collect(
        &mut self,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<(), DriverError> {
        let make = move |id, deadline_ms| {
            DriverRequest::Collect(CollectMessage {
                id,
                deadline_ms,
                start_ms: window.start_ms,
                end_ms: window.end_ms,
                level: None,
            })
        };
        let payload = self.batch("collect", Box::new(make))?;
        let (limits, id) = (&self.sources.limits, &self.host.exporter);
        Ok(series.batch(&payload::performance(payload, limits, id)?)?)
    }

    fn list_alerts(
        &mut self,
        range: Option<TimeWindow>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        let make = move |id, deadline_ms| {
            DriverRequest::ListAlerts(ListAlertsMessage {
                id,
                deadline_ms,
                start_ms: range.map(|range| range.start_ms),
                end_ms: range.map(|range| range.end_ms),
                level: None,
            })
        };
        let payload = self.batch("list alerts", Box::new(make))?;
        let (limits, id) = (&self.sources.limits, &self.host.exporter);
        alerts.batch(&payload::alerts(payload, limits, id)?);
        Ok(())
    }

    fn clear_alert(&mut self, sequence_number: &str) -> Result<(), DriverError> {
        let sequence_number = sequence_number.to_owned();
        let make = move |id, deadline_ms| {
            DriverRequest::ClearAlert(ClearAlertMessage {
                id,
                deadline_ms,
                sequence_number,
            })
        };
        self.call("clear alerts", Box::new(make)).map(drop)
    }

    fn list_resources(&mut self, kind: ResourceKind) -> Result<Vec<ResourceFields>, DriverError> {
        let make = move |id, deadline_ms| {
            DriverRequest::ListResources(ListResourcesMessage {
                id,
                deadline_ms,
                kind: kind.name().to_owned(),
                level: None,
            })
        };
        match self.call("list resources", Box::new(make))? {
            Answer::Payload(payload) => payload::resources(payload, &self.sources.limits),
            Answer::Value(value) => described::read("list_resources", value),
            _ => Err(DriverError::BadAnswer {
                reason: "the answer to `list_resources` has no list".to_owned(),
            }),
        }
    }

    fn parse_trap(
        &mut self,
        variables: &BTreeMap<String, String>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        let variables = variables.clone();
        let make = move |id, deadline_ms| {
            DriverRequest::ParseTrap(ParseTrapMessage {
                id,
                deadline_ms,
                variables,
            })
        };
        let payload = self.batch("read traps", Box::new(make))?;
        let (limits, id) = (&self.sources.limits, &self.host.exporter);
        alerts.batch(&payload::alerts(payload, limits, id)?);
        Ok(())
    }
}

fn removed() -> DriverError {
    DriverError::Failed {
        reason: "its plugin was removed (put it back into `plugin_dirs`, and reload)".to_owned(),
    }
}
