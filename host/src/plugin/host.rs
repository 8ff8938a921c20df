//! What the host lends to an instance: a log, counters, a state folder.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use abi_stable::std_types::{ROption, RStr};
use delfin_plugin_abi::{self as abi, Level, LogRecord};
use delfin_plugin_api::redact::Redactor;
use delfin_plugin_protocol::LogRecordMessage;

use super::{redactor::SharedRedactor, usage::CurrentProcess};
use crate::logging::{self, LogLine};

/// Limits the number of counters, and the bytes of a counter's name.
const MAX_COUNTERS: usize = 64;

/// Counters of one exporter's plugin, by name. They start at 0 with the host.
#[derive(Clone, Debug, Default)]
pub struct PluginCounters(Arc<Mutex<BTreeMap<String, u64>>>);

impl PluginCounters {
    #[must_use]
    pub fn values(&self) -> Vec<(String, u64)> {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters
            .iter()
            .map(|(name, &value)| (name.clone(), value))
            .collect()
    }

    fn add(&self, name: &str, by: u64) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = counters.get_mut(name) {
            *value = value.saturating_add(by);
        } else if counters.len() < MAX_COUNTERS && name.len() <= MAX_COUNTERS {
            counters.insert(name.to_owned(), by);
        }
    }
}

/// The least severe level that an instance may log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginLevel {
    /// That of its exporter in the log, which can be changed at any time.
    Current,
    Fixed(log::LevelFilter),
}

/// Lent to an instance for its lifetime.
#[derive(Clone, Debug)]
pub struct InstanceHost {
    /// Name in the configuration; for a driver, the id of its storage.
    pub exporter: String,
    /// The key of the name in log lines.
    pub key: &'static str,
    /// An existing folder.
    pub state_dir: String,
    /// Log records below this level are discarded.
    pub level: PluginLevel,
    pub(crate) redactor: SharedRedactor,
    pub counters: PluginCounters,
    /// The process of the instance, if it has one.
    pub process: CurrentProcess,
}

impl InstanceHost {
    /// `state_dir` is empty if there is no instance that could use one.
    pub(crate) fn new(exporter: &str, redactor: &Redactor, state_dir: String) -> Self {
        Self {
            exporter: exporter.to_owned(),
            key: "exporter",
            state_dir,
            level: PluginLevel::Current,
            redactor: redactor.clone().into(),
            counters: PluginCounters::default(),
            process: CurrentProcess::default(),
        }
    }

    /// Lent to the driver of a storage.
    pub(super) fn of_driver(storage_id: &str, redactor: &Redactor, state_dir: String) -> Self {
        Self {
            key: "storage",
            ..Self::new(storage_id, redactor, state_dir)
        }
    }

    /// The level now.
    pub(super) fn level(&self) -> log::LevelFilter {
        match self.level {
            PluginLevel::Current => logging::exporter_level(&self.exporter),
            PluginLevel::Fixed(level) => level,
        }
    }

    /// Logs a line of the plugin, without secrets.
    pub(super) fn write(&self, line: &LogLine<'_>) {
        if line.level <= self.level() {
            self.write_from(self.key, line);
        }
    }

    /// Logs a record that a process has sent.
    pub(super) fn write_record(&self, record: &LogRecordMessage) {
        if let Ok(level) = record.level.parse() {
            self.write(&LogLine {
                level,
                target: &record.target,
                message: &record.message,
                fields: &record.fields,
            });
        }
    }

    pub(super) fn add(&self, counter: &str, by: u64) {
        self.counters.add(counter, by);
    }

    /// `source` is the key of the exporter's name.
    fn write_from(&self, source: &str, line: &LogLine<'_>) {
        let own = (source.to_owned(), self.exporter.clone());
        // A plugin must not say that it is another exporter.
        let others = line.fields.iter().filter(|(key, _)| key != source);
        let redacted = others.map(|(key, value)| (key.clone(), self.redactor.redact(value)));
        let fields: Vec<_> = std::iter::once(own).chain(redacted).collect();
        logging::write(&LogLine {
            message: &self.redactor.redact(line.message),
            fields: &fields,
            ..*line
        });
    }
}

impl abi::Host for InstanceHost {
    fn exporter(&self) -> RStr<'_> {
        RStr::from(&*self.exporter)
    }

    fn instance(&self) -> u32 {
        0
    }

    fn state_dir(&self) -> RStr<'_> {
        RStr::from(&*self.state_dir)
    }

    fn max_level(&self) -> Level {
        Level(self.level() as u32)
    }

    fn log(&self, record: LogRecord<'_>) {
        let Some(level) = log::Level::iter().find(|level| *level as u32 == record.level.0) else {
            return;
        };
        let source = if record.instance_unknown {
            "plugin_of"
        } else {
            self.key
        };
        let fields = record.fields.iter();
        let fields = fields.map(|field| (field.key.to_string(), field.value.to_string()));
        self.write_from(
            source,
            &LogLine {
                level,
                target: record.target.as_str(),
                message: record.message.as_str(),
                fields: &fields.collect::<Vec<_>>(),
            },
        );
    }

    fn count(&self, counter: RStr<'_>, by: u64) {
        self.counters.add(counter.as_str(), by);
    }

    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
