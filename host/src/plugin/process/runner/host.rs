//! The host as the plugin sees it in its own process: every call is a message.

use std::sync::{Arc, Mutex};

use abi_stable::std_types::{ROption, RStr};
use delfin_plugin_abi::{self as abi, Level, LogRecord};
use delfin_plugin_protocol::{CreateMessage, ExporterMessage, FrameWriter, LogRecordMessage};

use super::send;
use crate::logging::TextBudget;

/// The longest log record that is sent, in bytes. The host shows less: it redacts the record
/// before it cuts it.
const MAX_RECORD: usize = 256 << 10;

pub(super) struct RemoteHost {
    exporter: String,
    instance: u32,
    state_dir: String,
    level: Level,
    writer: Arc<Mutex<FrameWriter>>,
}

impl RemoteHost {
    pub(super) fn new(create: CreateMessage, writer: Arc<Mutex<FrameWriter>>) -> Self {
        let level = create.level.parse().unwrap_or(log::LevelFilter::Info);
        Self {
            exporter: create.name,
            instance: create.instance,
            state_dir: create.state_dir,
            level: Level(level as u32),
            writer,
        }
    }
}

impl abi::Host for RemoteHost {
    fn exporter(&self) -> RStr<'_> {
        RStr::from(&*self.exporter)
    }

    fn instance(&self) -> u32 {
        self.instance
    }

    fn state_dir(&self) -> RStr<'_> {
        RStr::from(&*self.state_dir)
    }

    fn max_level(&self) -> Level {
        self.level
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
        let record = LogRecordMessage {
            level: level.as_str().to_lowercase(),
            target: record.target.to_string(),
            message,
            fields: fields.collect(),
        };
        drop(send(&self.writer, &ExporterMessage::Log(record)));
    }

    fn count(&self, counter: RStr<'_>, by: u64) {
        let name = counter.to_string();
        drop(send(&self.writer, &ExporterMessage::Count { name, by }));
    }

    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
