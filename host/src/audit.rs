//! The audit log: who changed what, when, and with which outcome.
//!
//! A record goes to the log with the target [`TARGET`], which is logged with any level, and as a line of
//! JSON to the file that the operator names. The file is opened for each record, so that it can be moved away at any time.
//! Records have neither bodies nor headers, and so no secret.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    clock,
    platform::{FileReaders, OpenRestricted, user},
};

/// The target of audit records in the log.
pub const TARGET: &str = "audit";

/// Writes audit records.
#[derive(Clone, Debug, Default)]
pub struct AuditLog {
    file: Option<PathBuf>,
}

/// A change, or the attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRecord {
    /// `token NAME`, `user UID`, `signal NAME` or `anonymous`.
    pub who: String,
    /// The address of the client; `local` for a program of this machine that does not use the
    /// network.
    pub from: String,
    /// The method and the path of a call, or a command.
    pub what: String,
    /// The status of a call, `ok` or `failed`.
    pub outcome: String,
    /// The id of a request, which its answer and the log have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl AuditRecord {
    /// A change that a command makes in the state folder.
    #[must_use]
    pub fn of_command(what: String) -> Self {
        Self {
            who: format!("user {}", user()),
            from: "local".to_owned(),
            what,
            outcome: "ok".to_owned(),
            request: None,
        }
    }

    /// A change that a signal asks for. The system does not tell who has sent it.
    #[must_use]
    pub fn of_signal(signal: &str, what: &str, succeeded: bool) -> Self {
        Self {
            who: format!("signal {signal}"),
            from: "local".to_owned(),
            what: what.to_owned(),
            outcome: if succeeded { "ok" } else { "failed" }.to_owned(),
            request: None,
        }
    }
}

/// A line of the file.
#[derive(Serialize)]
struct AuditLine<'a> {
    time: String,
    #[serde(flatten)]
    record: &'a AuditRecord,
}

impl AuditLog {
    #[must_use]
    pub fn new(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Path::to_owned),
        }
    }

    /// Writes a record to the log and to the file. A change is not undone if that fails.
    pub fn record(&self, record: &AuditRecord) {
        let request = record.request.as_deref().unwrap_or("-");
        let fields = [
            ("who", &*record.who),
            ("from", &*record.from),
            ("what", &*record.what),
            ("outcome", &*record.outcome),
            ("request", request),
        ];
        // Not by a macro, which leaves out what is below the level.
        log::logger().log(
            &log::Record::builder()
                .level(log::Level::Info)
                .target(TARGET)
                .args(format_args!("change"))
                .key_values(&fields)
                .build(),
        );
        if let Err(error) = self.append(record) {
            log::error!(target: TARGET, who = record.who, what = record.what, outcome = record.outcome; "audit record is not in its file: {error}");
        }
    }

    /// Writes a record to the file, if there is one.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append(&self, record: &AuditRecord) -> io::Result<()> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let time = clock::rfc3339(clock::now_ms());
        let mut line = serde_json::to_vec(&AuditLine { time, record })?;
        line.push(b'\n');
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .readable_by(FileReaders::Group)
            .open(path)?;
        file.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_of_the_file_also_after_the_file_was_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let log = AuditLog::new(Some(&path));
        let record = AuditRecord {
            who: "token ops".to_owned(),
            from: "192.0.2.7".to_owned(),
            what: "POST /v1/reload".to_owned(),
            outcome: "200".to_owned(),
            request: None,
        };
        log.append(&record).unwrap();
        std::fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
        log.append(&record).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["who"], "token ops");
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{text}");
        assert!(AuditLog::new(Some(folder.path())).append(&record).is_err());
        assert!(AuditLog::default().append(&record).is_ok());
    }
}
