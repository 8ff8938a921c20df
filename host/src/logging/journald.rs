//! Records for the journal of systemd, with their fields, over its native protocol.
//!
//! Small enough to be our own: the crates for it open the socket at a fixed path, bring a logger
//! of their own, and would write past the queue of ours.

use std::fmt::Write as _;

use super::{LogLine, fields_text, one_line};

/// The longest name of a field.
const MAX_NAME: usize = 64;
/// Before each name, so that a plugin cannot set a field of the journal.
const PREFIX: &str = "DELFIN_";
const MESSAGE: &str = "MESSAGE=";

/// A record in the form of the protocol: a line for each field. Values have no line ends.
pub(super) fn encode(line: &LogLine<'_>) -> String {
    let priority = match line.level {
        log::Level::Error => 3,
        log::Level::Warn => 4,
        log::Level::Info => 6,
        log::Level::Debug | log::Level::Trace => 7,
    };
    let target = one_line(line.target);
    let mut text = format!("{MESSAGE}{target}: {}", one_line(line.message));
    fields_text(&mut text, line.fields);
    let _ = write!(
        text,
        "\nPRIORITY={priority}\nSYSLOG_IDENTIFIER=delfin-host\n{PREFIX}TARGET={target}\n"
    );
    for (key, value) in line.fields {
        let _ = writeln!(text, "{}={}", name(key), one_line(value));
    }
    text
}

/// The text of an encoded record as a line, for standard error.
pub(super) fn message(record: &str) -> &str {
    let line = record.split_inclusive('\n').next().unwrap_or_default();
    line.strip_prefix(MESSAGE).unwrap_or(line)
}

/// The name of a field is in upper case, with digits and underscores.
fn name(key: &str) -> String {
    let valid = key.chars().map(|c| match c.to_ascii_uppercase() {
        c @ ('A'..='Z' | '0'..='9') => c,
        _ => '_',
    });
    PREFIX.chars().chain(valid).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(message: &'a str, fields: &'a [(String, String)]) -> LogLine<'a> {
        LogLine {
            level: log::Level::Warn,
            target: "delfin_host::delivery",
            message,
            fields,
        }
    }

    #[test]
    fn a_record_has_its_fields_and_its_text_is_a_line() {
        let fields = [("exporter".to_owned(), "kafka dr".to_owned())];
        let record = encode(&line("retrying", &fields));
        assert_eq!(
            message(&record),
            "delfin_host::delivery: retrying exporter=\"kafka dr\"\n"
        );
        assert_eq!(
            record,
            "MESSAGE=delfin_host::delivery: retrying exporter=\"kafka dr\"\nPRIORITY=4\n\
             SYSLOG_IDENTIFIER=delfin-host\nDELFIN_TARGET=delfin_host::delivery\n\
             DELFIN_EXPORTER=kafka dr\n"
        );
    }

    #[test]
    fn no_text_of_a_plugin_becomes_another_field() {
        let fields = [
            (
                "_UID=0\nPRIORITY".to_owned(),
                "0\nMESSAGE=forged".to_owned(),
            ),
            ("x".repeat(100), String::new()),
        ];
        let record = encode(&line("two\nPRIORITY=0", &fields));
        let names: Vec<&str> = record
            .lines()
            .map(|line| line.split_once('=').unwrap().0)
            .collect();
        let long = format!("DELFIN_{}", "X".repeat(57));
        let wanted = [
            "MESSAGE",
            "PRIORITY",
            "SYSLOG_IDENTIFIER",
            "DELFIN_TARGET",
            "DELFIN__UID_0_PRIORITY",
            &long,
        ];
        assert_eq!(names, wanted, "{record}");
    }
}
