//! Panics as records of the log.
//!
//! The hook of the standard library writes several lines of text, which a reader of JSON
//! does not understand.

use std::{backtrace::Backtrace, panic::PanicHookInfo, thread, time::Instant};

use delfin_plugin_api::__glue::panic_text;

use super::{
    LogLine, Logger, WRITER_THREAD,
    limiter::{Admission, LogLimiter},
    queue::LineOrigin,
};
use crate::panics;

/// Logs each panic of a thread of the host as one record. A place in the code that panics
/// again and again is logged once a minute.
pub(super) fn install(logger: &'static Logger) {
    let limiter = LogLimiter::default();
    std::panic::set_hook(Box::new(move |panic| {
        let at = panic.location().map(ToString::to_string);
        let at = at.unwrap_or_default();
        let admission = limiter.admit(&at, "", Instant::now());
        if let Admission::Logged { suppressed } = admission {
            logger.write_panic(&PanicRecord::of(panic, at, suppressed));
        }
    }));
}

/// What is known of a panic.
#[derive(Debug)]
struct PanicRecord {
    text: String,
    /// File, line and column.
    at: String,
    thread: String,
    backtrace: Option<String>,
    /// Panics of the same place that were not logged.
    suppressed: u64,
}

impl PanicRecord {
    fn of(panic: &PanicHookInfo<'_>, at: String, suppressed: u64) -> Self {
        // Only if the environment demands it.
        let backtrace = Backtrace::capture();
        let is_captured = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
        Self {
            text: panic_text(panic.payload()).to_owned(),
            at,
            thread: thread::current().name().unwrap_or_default().to_owned(),
            backtrace: is_captured.then(|| backtrace.to_string()),
            suppressed,
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        let field = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut fields = vec![field("at", &self.at), field("thread", &self.thread)];
        if self.suppressed > 0 {
            fields.push(field("suppressed", &self.suppressed.to_string()));
        }
        fields.extend(
            self.backtrace
                .as_ref()
                .map(|trace| field("backtrace", trace)),
        );
        fields
    }
}

impl Logger {
    fn write_panic(&self, panic: &PanicRecord) {
        let (level, what) = if panics::is_caught() {
            (
                log::Level::Debug,
                "a library panicked on input that is refused",
            )
        } else {
            (log::Level::Error, "the host panicked (report this)")
        };
        if level > self.levels.host() {
            return;
        }
        let message = format!("{what}: {}", panic.text);
        let line = LogLine {
            level,
            target: "panic",
            message: &message,
            fields: &panic.fields(),
        };
        if panic.thread == WRITER_THREAD {
            self.write_directly(&line);
        } else {
            self.send(&line, LineOrigin::Host);
            // The process may end with this panic.
            super::flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::logging::{LineForm, levels::LogLevels, queue::line_queue};

    fn logged(form: LineForm) -> String {
        let (queue, lines) = line_queue();
        let levels = LogLevels::new(log::LevelFilter::Info, BTreeMap::new());
        let logger = Logger {
            levels,
            form,
            queue,
        };
        let panic = PanicRecord {
            text: "assertion failed:\n  \"left\"".to_owned(),
            at: "src/x.rs:1:2".to_owned(),
            thread: "journal".to_owned(),
            backtrace: Some("0: a\n1: b".to_owned()),
            suppressed: 3,
        };
        logger.write_panic(&panic);
        panics::catch(|| logger.write_panic(&panic));
        drop(logger);
        let mut written = Vec::new();
        lines.write(|line| written.push(line.to_owned()));
        assert_eq!(written.len(), 1);
        written.concat()
    }

    #[test]
    fn a_panic_is_one_record_in_text_and_in_json() {
        let text = logged(LineForm::Text);
        let (_, text) = text.split_once(" ERROR ").unwrap();
        assert_eq!(
            text,
            "panic: the host panicked (report this): assertion failed:\\n  \"left\" \
             at=src/x.rs:1:2 thread=journal suppressed=3 backtrace=\"0: a\\n1: b\"\n"
        );
        let json = logged(LineForm::Json);
        assert_eq!(json.matches('\n').count(), 1);
        let record: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(record["level"], "error");
        assert_eq!(record["fields"]["thread"], "journal");
    }
}
