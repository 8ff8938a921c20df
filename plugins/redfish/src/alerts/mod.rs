//! Answers to alerts: what the logs and the events of the service say about faults that last.
//!
//! Promises: a fault is one alert however often it is reported; an event that arrives between two
//! calls is in the next answer; one log that cannot be read is an error, and no shorter list.

mod active;
mod logs;
mod queue;
mod record;
mod registry;
mod stream;

use std::{collections::HashSet, sync::Arc, time::Duration};

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Failure, Host, NewAlert,
    driver::{DriverFailure, DriverWindow},
    log,
    time::{millis, now_ms},
};
use serde_json::json;

use self::{
    active::ActiveFaults, logs::LogSet, record::FaultRecord, registry::MessageRegistries,
    stream::EventStream,
};
use crate::{
    client::{AskError, CallBudget, RedfishClient},
    resources::{ResourceTree, part_of_origin},
};

/// The most time between an event and a log entry that repeats it without its id.
const SAME_MS: u64 = 5_000;

/// What the driver remembers of the alerts.
#[derive(Default)]
pub(crate) struct AlertMemory {
    logs: Option<LogSet>,
    registries: MessageRegistries,
    /// Events that no log entry has repeated yet, oldest first.
    events: Vec<FaultRecord>,
    /// The sequence numbers of the last list.
    listed: HashSet<String>,
    stream: Option<EventStream>,
    /// Whether it is known that the service sends no events.
    has_no_stream: bool,
}

/// Who asks for alerts, and with what.
pub(crate) struct AlertRequest<'a> {
    pub(crate) tree: &'a Arc<ResourceTree>,
    pub(crate) client: &'a Arc<RedfishClient>,
    pub(crate) budget: &'a CallBudget<'a>,
    pub(crate) max_age: Duration,
}

impl AlertMemory {
    /// Starts to receive events, unless that has been tried.
    pub(crate) fn start_stream(
        &mut self,
        host: &Host,
        request: &AlertRequest<'_>,
    ) -> Result<(), Failure> {
        if self.stream.is_some() || self.has_no_stream {
            return Ok(());
        }
        match stream::uri(request) {
            Ok(Some(path)) => {
                let client = Arc::clone(request.client);
                self.stream = Some(EventStream::start(client, host.clone(), path)?);
            }
            Ok(None) | Err(AskError::Absent(_)) => self.has_no_stream = true,
            // The next call tries it again; the logs have the faults until then.
            Err(AskError::Broken(reason)) => {
                log::debug!(reason; "it is not known whether the service sends events");
            }
            Err(AskError::Call(failure)) => return Err(failure),
        }
        Ok(())
    }

    /// Every fault that lasts; with a window, those that began in it.
    pub(crate) fn list(
        &mut self,
        window: Option<DriverWindow>,
        request: &AlertRequest<'_>,
    ) -> Result<AlertBatch, Failure> {
        let oldest_ms = now_ms() - millis(request.max_age);
        let mut records = self.records(request, oldest_ms)?;
        records.sort_by_key(|record| record.at_ms);
        let mut active = ActiveFaults::default();
        self.registries.retry();
        for record in records {
            let message = self.registries.message(&record, request);
            active.apply(record, message.as_ref());
        }
        let mut alerts = AlertBatchBuilder::new();
        self.listed.clear();
        for (key, fault) in active.faults() {
            self.listed.insert(fault.number.clone());
            if window.is_none_or(|window| window.contains(fault.at_ms)) {
                let part = fault.origin.as_deref();
                let part = part.and_then(|path| part_of_origin(request.tree, path));
                add(&mut alerts, key, fault, part.unwrap_or("Storage"));
            }
        }
        Ok(alerts.build())
    }

    /// Tells the service that the fault of a log entry is resolved.
    pub(crate) fn clear(
        &mut self,
        number: &str,
        client: &RedfishClient,
        budget: &CallBudget<'_>,
    ) -> Result<(), DriverFailure> {
        if !self.listed.contains(number) {
            let message = format!("no alert has the sequence number `{number}`");
            return Err(Failure::rejected(message).into());
        }
        let cannot = |reason: String| {
            DriverFailure::from(Failure::rejected(format!(
                "the service does not let users resolve the alert: {reason}"
            )))
        };
        let Some(path) = record::entry_path(number) else {
            return Err(cannot("it is an event without a log entry".to_owned()));
        };
        let resolved = json!({ "Resolved": true });
        client
            .patch(&path, &resolved, budget)
            .map_err(|error| match error {
                AskError::Absent(reason) | AskError::Broken(reason) => cannot(reason),
                AskError::Call(failure) => failure.into(),
            })
    }

    /// The entries of the logs, and the events that are not in a log.
    fn records(
        &mut self,
        request: &AlertRequest<'_>,
        oldest_ms: i64,
    ) -> Result<Vec<FaultRecord>, Failure> {
        if self
            .logs
            .as_ref()
            .is_none_or(|logs| !logs.is_of(request.tree))
        {
            self.logs = Some(LogSet::find(request)?);
        }
        let mut records = match &self.logs {
            Some(logs) => logs.entries(request, oldest_ms)?,
            None => Vec::new(),
        };
        // The events that arrived while the logs were read may have entries that were not: they
        // stay for the next call.
        if let Some(stream) = &self.stream {
            self.events.extend(stream.drain());
        }
        let numbers: HashSet<&str> = records.iter().map(|record| &*record.number).collect();
        let ids: HashSet<&str> = records
            .iter()
            .filter_map(|record| record.event_id.as_deref())
            .collect();
        let faults: Vec<(String, i64)> = records
            .iter()
            .map(|record| (record.key(), record.at_ms))
            .collect();
        let is_logged = |event: &FaultRecord| {
            let id = event.event_id.as_deref();
            let is_known =
                numbers.contains(&*event.number) || id.is_some_and(|id| ids.contains(id));
            is_known || {
                let key = event.key();
                let mut faults = faults.iter();
                faults.any(|(known, at_ms)| *known == key && at_ms.abs_diff(event.at_ms) <= SAME_MS)
            }
        };
        self.events
            .retain(|event| event.at_ms >= oldest_ms && !is_logged(event));
        let excess = self.events.len().saturating_sub(queue::MAX_EVENTS);
        self.events.drain(..excess);
        records.extend(self.events.iter().cloned());
        Ok(records)
    }
}

fn add(alerts: &mut AlertBatchBuilder, key: &str, fault: &FaultRecord, resource_type: &str) {
    let name = fault.name();
    let alert_id = fault.message_id.as_deref().unwrap_or(&name);
    let mut texts = vec![
        ("alert_id", alert_id),
        ("alert_name", &*name),
        ("severity", fault.severity()),
        ("category", "Fault"),
        ("type", "EquipmentAlarm"),
        ("resource_type", resource_type),
        ("sequence_number", &fault.number),
        ("match_key", key),
    ];
    let optional = [
        ("location", fault.location()),
        ("description", fault.message.as_deref()),
        ("recovery_advice", fault.resolution.as_deref()),
    ];
    texts.extend(
        optional
            .into_iter()
            .filter_map(|(column, text)| Some((column, text?))),
    );
    alerts.alert(NewAlert {
        occur_time: fault.at_ms,
        texts: &texts,
    });
}
