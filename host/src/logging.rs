//! The host's log: one line for each record on standard error or in a file, as text or JSON, or a
//! record with fields for the journal of systemd.
//!
//! A thread of its own writes the lines, so a full pipe at standard error blocks no
//! exporter. If lines arrive faster than the thread can write them, the newest ones
//! are dropped, and the log says how many.
//!
//! The lines go to a copy of standard error with a high number: code that closes
//! descriptors that it does not own closes low numbers, and the next file that is opened
//! would get the lines.
//!
//! Promises: records of libraries that log their traffic, with credentials in it, are
//! shown from the level INFO on only. Audit records are shown with any level. A panic is one record, too.

mod file;
mod journald;
mod levels;
mod limiter;
mod panic_hook;
mod queue;
mod record;
mod sink;

use std::{io, io::Write, sync::OnceLock, time::Duration};

use delfin_plugin_api::redact::logs_traffic;
use log::{
    LevelFilter, Log, Metadata, Record,
    kv::{Key, Value, VisitSource},
};

use crate::{audit, clock, config::LogConfig};
use file::LogFile;
use levels::LogLevels;
use queue::{LineOrigin, LineQueue, line_queue};
use record::cut_record;
use sink::LogSink;

pub use limiter::{Admission, LogLimiter};

/// The thread that writes the lines.
const WRITER_THREAD: &str = "log";

/// One record of the log.
#[derive(Debug, Clone)]
pub struct LogLine<'a> {
    pub level: log::Level,
    /// The module that logs.
    pub target: &'a str,
    pub message: &'a str,
    pub fields: &'a [(String, String)],
}

/// Starts the log. Later calls change nothing.
pub fn start(config: &LogConfig) {
    let (queue, lines) = line_queue();
    let levels = LogLevels::new(config.level, config.levels.clone());
    let (mut sink, form) = LogSink::open(config);
    let logger = Logger {
        levels,
        form,
        queue,
    };
    if LOGGER.set(logger).is_err() {
        return;
    }
    let writer = std::thread::Builder::new().name(WRITER_THREAD.to_owned());
    let write_lines = move || lines.write(|line| sink.write(line));
    if writer.spawn(write_lines).is_ok()
        && let Some(logger) = LOGGER.get()
        && log::set_logger(logger).is_ok()
    {
        log::set_max_level(logger.levels.host());
        panic_hook::install(logger);
    }
}

/// Checks the file of the log, if there is one, and creates nothing.
///
/// # Errors
///
/// The file cannot be written.
pub fn check_file(config: &LogConfig) -> io::Result<()> {
    match &config.file {
        Some(file) => LogFile::new(file.clone()).check(),
        None => Ok(()),
    }
}

/// The level of the records that an exporter's plugin logs.
#[must_use]
pub fn exporter_level(exporter: &str) -> LevelFilter {
    let logger = LOGGER.get();
    logger.map_or(LevelFilter::Off, |logger| logger.levels.exporter(exporter))
}

/// The level of the records of the host.
#[must_use]
pub fn level() -> LevelFilter {
    let logger = LOGGER.get();
    logger.map_or(LevelFilter::Off, |logger| logger.levels.host())
}

/// Changes the level of an exporter's plugin, or that of the host and of all exporters that have
/// none of their own, until the host ends.
pub fn set_level(exporter: Option<&str>, level: LevelFilter) {
    if let Some(logger) = LOGGER.get() {
        logger.levels.set(exporter, level);
        log::set_max_level(logger.levels.host());
    }
}

/// Logs a line of a plugin. The caller has checked its level.
pub fn write(line: &LogLine<'_>) {
    if let Some(logger) = LOGGER.get() {
        logger.send(line, LineOrigin::Plugin);
    }
}

/// Waits until the lines so far are written, for at most a second.
pub fn flush() {
    if let Some(logger) = LOGGER.get() {
        logger.queue.flush(Duration::from_secs(1));
    }
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

struct Logger {
    levels: LogLevels,
    form: LineForm,
    queue: LineQueue,
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineForm {
    Text,
    Json,
    /// For the journal of systemd.
    Journal,
}

impl Logger {
    fn send(&self, line: &LogLine<'_>, origin: LineOrigin) {
        // Also for plugins whose own log bridge passes such records on.
        if line.level > log::Level::Info && logs_traffic(line.target) {
            return;
        }
        let dropped = self.queue.take_dropped();
        if dropped > 0 {
            let fields = [("lines".to_owned(), dropped.to_string())];
            let line = LogLine {
                level: log::Level::Warn,
                target: module_path!(),
                message: "log lines dropped: standard error is too slow",
                fields: &fields,
            };
            self.enqueue(&line, LineOrigin::Host);
        }
        match cut_record(line) {
            None => self.enqueue(line, origin),
            Some(cut) => {
                let line = LogLine {
                    level: line.level,
                    target: &cut.target,
                    message: &cut.message,
                    fields: &cut.fields,
                };
                self.enqueue(&line, origin);
            }
        }
    }

    fn enqueue(&self, line: &LogLine<'_>, origin: LineOrigin) {
        self.queue.push(encode(self.form, line), origin);
    }

    /// Writes a line without the thread.
    fn write_directly(&self, line: &LogLine<'_>) {
        // Standard error is a stream of lines also if the journal of systemd reads it.
        let form = match self.form {
            LineForm::Text | LineForm::Journal => LineForm::Text,
            LineForm::Json => LineForm::Json,
        };
        // As in the thread, an error has no place where it could be reported.
        let _ = io::stderr().write_all(encode(form, line).as_bytes());
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = if logs_traffic(metadata.target()) {
            self.levels.host().min(LevelFilter::Info)
        } else {
            self.levels.host()
        };
        metadata.level() <= level || metadata.target() == audit::TARGET
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut fields = LogFields(Vec::new());
        // The visitor below never fails.
        let _ = record.key_values().visit(&mut fields);
        let line = LogLine {
            level: record.level(),
            target: record.target(),
            message: &record.args().to_string(),
            fields: &fields.0,
        };
        self.send(&line, LineOrigin::Host);
    }

    fn flush(&self) {
        flush();
    }
}

struct LogFields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for LogFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

fn encode(form: LineForm, line: &LogLine<'_>) -> String {
    let now = || clock::rfc3339(clock::now_ms());
    match form {
        LineForm::Text => text(&now(), line),
        LineForm::Json => json(&now(), line),
        LineForm::Journal => journald::encode(line),
    }
}

fn text(now: &impl std::fmt::Display, line: &LogLine<'_>) -> String {
    let mut text = format!(
        "{now} {:5} {}: {}",
        line.level,
        one_line(line.target),
        one_line(line.message)
    );
    fields_text(&mut text, line.fields);
    text.push('\n');
    text
}

fn fields_text(text: &mut String, fields: &[(String, String)]) {
    for (key, value) in fields {
        text.push(' ');
        text.push_str(&one_word(key));
        text.push('=');
        text.push_str(&one_word(value));
    }
}

fn json(now: &impl std::fmt::Display, line: &LogLine<'_>) -> String {
    let fields: serde_json::Map<_, _> = line
        .fields
        .iter()
        .map(|(key, value)| (key.clone(), value.clone().into()))
        .collect();
    let mut text = serde_json::json!({
        "time": now.to_string(),
        "level": line.level.as_str().to_lowercase(),
        "target": line.target,
        "message": line.message,
        "fields": fields,
    })
    .to_string();
    text.push('\n');
    text
}

/// The text with control characters escaped: texts from plugins and devices must
/// not start a new line or control the terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escape = c.is_control();
            let escaped = escape.then(|| c.escape_default()).into_iter().flatten();
            escaped.chain((!escape).then_some(c))
        })
        .collect()
}

/// The text, in quotes if it would otherwise not be one word.
fn one_word(text: &str) -> String {
    if text.is_empty() || text.contains([' ', '"', '=', '\n', '\r', '\t']) {
        format!("{text:?}")
    } else {
        one_line(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(message: &'a str, fields: &'a [(String, String)]) -> LogLine<'a> {
        LogLine {
            level: log::Level::Warn,
            target: "kafka",
            message,
            fields,
        }
    }

    #[test]
    fn a_record_is_one_line_even_with_line_ends_in_it() {
        let fields = [
            ("exporter".to_owned(), "a b".to_owned()),
            ("n".to_owned(), "1".to_owned()),
        ];
        let text = text(&"now", &line("two\nlines \u{1b}[31m", &fields));
        assert_eq!(
            text,
            "now WARN  kafka: two\\nlines \\u{1b}[31m exporter=\"a b\" n=1\n"
        );
    }

    #[test]
    fn no_target_and_no_key_looks_like_another_record() {
        let fields = [("n=1 exporter".to_owned(), "b".to_owned())];
        let target = "a\nnow ERROR b";
        let text = text(
            &"now",
            &LogLine {
                target,
                ..line("away", &fields)
            },
        );
        assert_eq!(text, "now WARN  a\\nnow ERROR b: away \"n=1 exporter\"=b\n");
    }

    #[test]
    fn json_has_an_object_of_fields() {
        let fields = [("exporter".to_owned(), "dr".to_owned())];
        let text = json(&"now", &line("away", &fields));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["fields"]["exporter"], "dr");
        assert_eq!(value["level"], "warn");
    }

    #[test]
    fn the_traffic_of_a_library_is_not_logged_also_if_a_plugin_passes_it_on() {
        let (queue, lines) = line_queue();
        let logger = Logger {
            levels: LogLevels::new(LevelFilter::Trace, std::collections::BTreeMap::new()),
            form: LineForm::Text,
            queue,
        };
        let log = |target: &str, level: log::Level| {
            let record = Record::builder().target(target).level(level).build();
            Log::log(&logger, &record);
            let (message, fields) = ("POST", &[]);
            let line = LogLine {
                level,
                target,
                message,
                fields,
            };
            logger.send(&line, LineOrigin::Plugin);
            lines.drain()
        };
        for level in [log::Level::Debug, log::Level::Trace] {
            assert_eq!(log("ureq::run", level), 0);
            assert_eq!(log("hyper_util::client", level), 0);
            assert_eq!(log("delfin_exporter_webhook", level), 2);
        }
        assert_eq!(log("ureq::run", log::Level::Warn), 2);
    }

    #[test]
    fn audit_records_are_logged_with_any_level() {
        for level in [LevelFilter::Off, LevelFilter::Error, LevelFilter::Trace] {
            let (queue, lines) = line_queue();
            let logger = Logger {
                levels: LogLevels::new(level, std::collections::BTreeMap::new()),
                form: LineForm::Text,
                queue,
            };
            let log = |target| {
                let record = Record::builder()
                    .target(target)
                    .level(log::Level::Info)
                    .build();
                Log::log(&logger, &record);
                lines.drain()
            };
            assert_eq!(log(audit::TARGET), 1, "{level}");
            assert_eq!(log("delfin_host"), usize::from(level == LevelFilter::Trace));
        }
    }
}
