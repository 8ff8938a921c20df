//! Records for the journal of systemd, with their fields, over its native protocol.
//!
//! Small enough to be our own: the crates for it open the socket at a fixed path, bring a logger
//! of their own, and would write past the queue of ours.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    io,
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
};

use super::{LogLine, fields_text, one_line};

/// Where the journal of the system listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// By this variable, systemd says which stream of a service goes to the journal: device and inode.
const STREAM: &str = "JOURNAL_STREAM";
/// The longest name of a field.
const MAX_NAME: usize = 64;
/// Before each name, so that a plugin cannot set a field of the journal.
const PREFIX: &str = "DELFIN_";
const MESSAGE: &str = "MESSAGE=";

pub(super) struct JournalSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl JournalSocket {
    /// The journal, if standard error goes to it.
    pub(super) fn of_stderr() -> Option<Self> {
        let stream = std::env::var_os(STREAM)?;
        if !is_stream(&stream, io::stderr()) || !Path::new(SOCKET).exists() {
            return None;
        }
        Self::open(Path::new(SOCKET)).ok()
    }

    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            socket: UnixDatagram::unbound()?,
            path: path.to_owned(),
        })
    }

    /// Sends an encoded record. The journal may have been restarted since the last one.
    pub(super) fn send(&self, record: &str) -> io::Result<()> {
        let sent = self.socket.send_to(record.as_bytes(), &self.path);
        sent.map(drop)
    }
}

/// Whether a stream is the one that the variable names.
fn is_stream(variable: &OsStr, stream: impl AsFd) -> bool {
    let Ok(stat) = rustix::fs::fstat(stream) else {
        return false;
    };
    variable.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino))
}

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
    use std::{fs::File, os::unix::fs::MetadataExt};

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
    fn a_record_arrives_with_its_fields_also_after_the_journal_was_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = JournalSocket::open(&path).unwrap();
        let fields = [("exporter".to_owned(), "kafka dr".to_owned())];
        let record = encode(&line("retrying", &fields));
        assert!(journal.send(&record).is_err(), "nothing listens");
        assert_eq!(
            message(&record),
            "delfin_host::delivery: retrying exporter=\"kafka dr\"\n"
        );
        for _ in 0..2 {
            let _ = std::fs::remove_file(&path);
            let receiver = UnixDatagram::bind(&path).unwrap();
            journal.send(&record).unwrap();
            let mut buffer = [0; 1024];
            let read = receiver.recv(&mut buffer).unwrap();
            assert_eq!(
                std::str::from_utf8(&buffer[..read]).unwrap(),
                "MESSAGE=delfin_host::delivery: retrying exporter=\"kafka dr\"\nPRIORITY=4\n\
                 SYSLOG_IDENTIFIER=delfin-host\nDELFIN_TARGET=delfin_host::delivery\n\
                 DELFIN_EXPORTER=kafka dr\n"
            );
        }
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

    #[test]
    fn the_stream_is_known_by_device_and_inode() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let of = |inode| format!("{}:{inode}", metadata.dev());
        let open = || File::open(file.path()).unwrap();
        assert!(is_stream(OsStr::new(&of(metadata.ino())), open()));
        assert!(!is_stream(OsStr::new(&of(metadata.ino() + 1)), open()));
        assert!(!is_stream(OsStr::new(""), open()));
    }
}
