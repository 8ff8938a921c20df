//! The host as a plugin sees it in its own process: every call is a message.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use abi_stable::std_types::{ROption, RStr};
use delfin_plugin_abi::{self as abi, Level, LogRecord};
use delfin_plugin_protocol::{
    ExporterMessage, FramePayload, FrameWriter, LogLevel, LogRecordMessage,
};

use crate::text::TextBudget;

/// The longest log record that is sent, in bytes. The host shows less: it redacts the record
/// before it cuts it.
const MAX_RECORD: usize = 256 << 10;

/// Lent to an instance. Exporters and drivers send the same messages.
pub struct RemoteHost {
    /// The name of the exporter, or the id of the storage.
    pub name: String,
    /// The number of the instance, from 0.
    pub instance: u32,
    /// An existing folder.
    pub state_dir: String,
    /// The least severe level that is sent.
    pub level: RemoteLevel,
    /// The connection.
    pub writer: Arc<Mutex<FrameWriter>>,
}

/// A level that the host can change between calls.
#[derive(Clone, Debug, Default)]
pub struct RemoteLevel(Arc<AtomicUsize>);

impl RemoteLevel {
    /// Changes the level.
    pub fn set(&self, level: log::LevelFilter) {
        self.0.store(level as usize, Ordering::Relaxed);
    }

    /// Changes the level to that of a message, if it has one.
    pub fn change(&self, level: Option<LogLevel>) {
        if let Some(level) = level {
            self.set(match level {
                LogLevel::Off => log::LevelFilter::Off,
                LogLevel::Error => log::LevelFilter::Error,
                LogLevel::Warn => log::LevelFilter::Warn,
                LogLevel::Info => log::LevelFilter::Info,
                LogLevel::Debug => log::LevelFilter::Debug,
                LogLevel::Trace => log::LevelFilter::Trace,
            });
        }
    }
}

impl RemoteHost {
    /// If it fails, the host has ended, and the process soon ends as well.
    fn send(&self, message: &ExporterMessage) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        drop(writer.send(message, FramePayload::None));
    }
}

impl abi::Host for RemoteHost {
    fn exporter(&self) -> RStr<'_> {
        RStr::from(&*self.name)
    }

    fn instance(&self) -> u32 {
        self.instance
    }

    fn state_dir(&self) -> RStr<'_> {
        RStr::from(&*self.state_dir)
    }

    fn max_level(&self) -> Level {
        Level(u32::try_from(self.level.0.load(Ordering::Relaxed)).unwrap_or(u32::MAX))
    }

    fn log(&self, record: LogRecord<'_>) {
        let Some(level) = log::Level::iter().find(|level| *level as u32 == record.level.0) else {
            return;
        };
        let mut budget = TextBudget::new(MAX_RECORD);
        let mut cut = |text: RStr<'_>| budget.cut(text.as_str(), MAX_RECORD);
        let message = cut(record.message);
        let fields = record.fields.iter();
        let fields = fields.map(|field| (cut(field.key), cut(field.value)));
        self.send(&ExporterMessage::Log(LogRecordMessage {
            level: level.as_str().to_lowercase(),
            target: record.target.to_string(),
            message,
            fields: fields.collect(),
        }));
    }

    fn count(&self, counter: RStr<'_>, by: u64) {
        let name = counter.to_string();
        self.send(&ExporterMessage::Count { name, by });
    }

    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
