//! The host's log: one line for each record on standard error, as text or JSON.
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
//! shown from the level INFO on only. A panic is one record, too.

mod limiter;
mod panic_hook;
mod queue;
mod record;

use std::{collections::BTreeMap, fs::File, io, io::Write, sync::OnceLock, time::Duration};

use delfin_plugin_api::redact::logs_traffic;
use log::{
    LevelFilter, Log, Metadata, Record,
    kv::{Key, Value, VisitSource},
};

use crate::{
    clock,
    config::{LogConfig, LogFormat},
};
use queue::{LineOrigin, LineQueue, QueuedLines, line_queue};
use record::cut_record;

pub use limiter::{Admission, LogLimiter};

/// The thread that writes the lines.
const WRITER_THREAD: &str = "log";

/// The lowest number of the copy of standard error.
const MIN_DESCRIPTOR: i32 = 100;

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
    let logger = Logger::new(config.level, config.levels.clone(), config.format, queue);
    if LOGGER.set(logger).is_err() {
        return;
    }
    let writer = std::thread::Builder::new().name(WRITER_THREAD.to_owned());
    if writer.spawn(move || write_lines(&lines)).is_ok()
        && let Some(logger) = LOGGER.get()
        && log::set_logger(logger).is_ok()
    {
        log::set_max_level(logger.level);
        panic_hook::install(logger);
    }
}

/// The level of the records that an exporter's plugin logs.
#[must_use]
pub fn exporter_level(exporter: &str) -> LevelFilter {
    LOGGER.get().map_or(LevelFilter::Off, |logger| {
        logger.levels.get(exporter).copied().unwrap_or(logger.level)
    })
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
    level: LevelFilter,
    levels: BTreeMap<String, LevelFilter>,
    format: LogFormat,
    queue: LineQueue,
}

impl Logger {
    fn new(
        level: LevelFilter,
        levels: BTreeMap<String, LevelFilter>,
        format: LogFormat,
        queue: LineQueue,
    ) -> Self {
        Self {
            level,
            levels,
            format,
            queue,
        }
    }

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
        self.queue.push(self.text(line), origin);
    }

    /// Writes a line without the thread.
    fn write_directly(&self, line: &LogLine<'_>) {
        // As in the thread, an error has no place where it could be reported.
        let _ = io::stderr().write_all(self.text(line).as_bytes());
    }

    fn text(&self, line: &LogLine<'_>) -> String {
        let now = clock::rfc3339(clock::now_ms());
        match self.format {
            LogFormat::Text => text(&now, line),
            LogFormat::Json => json(&now, line),
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = if logs_traffic(metadata.target()) {
            self.level.min(LevelFilter::Info)
        } else {
            self.level
        };
        metadata.level() <= level
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

fn write_lines(lines: &QueuedLines) {
    let mut stderr: Box<dyn Write> = match copy_of_stderr() {
        Ok(copy) => Box::new(copy),
        Err(_) => Box::new(io::stderr()),
    };
    // An error of standard error has no place where it could be reported.
    lines.write(|line| drop(stderr.write_all(line.as_bytes())));
}

/// Fails if the limit of open files is lower than its number.
fn copy_of_stderr() -> io::Result<File> {
    let copy = rustix::io::fcntl_dupfd_cloexec(io::stderr(), MIN_DESCRIPTOR)?;
    Ok(File::from(copy))
}

fn text(now: &impl std::fmt::Display, line: &LogLine<'_>) -> String {
    let mut text = format!(
        "{now} {:5} {}: {}",
        line.level,
        one_line(line.target),
        one_line(line.message)
    );
    for (key, value) in line.fields {
        text.push(' ');
        text.push_str(&one_word(key));
        text.push('=');
        text.push_str(&one_word(value));
    }
    text.push('\n');
    text
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
        let logger = Logger::new(LevelFilter::Trace, BTreeMap::new(), LogFormat::Text, queue);
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
}
