//! Where the lines of the log go: standard error, a file, or the journal of systemd.

use std::{
    fs::File,
    io::{self, Write},
};

use super::{
    LineForm,
    file::LogFile,
    journald::{self, JournalSocket},
};
use crate::config::{LogConfig, LogFormat};

/// The lowest number of the copy of standard error.
const MIN_DESCRIPTOR: i32 = 100;

pub(super) struct LogSink {
    place: Place,
    stderr: Box<dyn Write + Send>,
}

enum Place {
    Stderr,
    File(LogFile),
    Journal(JournalSocket),
}

impl LogSink {
    /// The place that the configuration asks for, and the form of lines there.
    pub(super) fn open(config: &LogConfig) -> (Self, LineForm) {
        let (place, form) = match (&config.file, config.format) {
            (Some(file), LogFormat::Text) => {
                (Place::File(LogFile::new(file.clone())), LineForm::Text)
            }
            (Some(file), LogFormat::Json) => {
                (Place::File(LogFile::new(file.clone())), LineForm::Json)
            }
            (None, LogFormat::Json) => (Place::Stderr, LineForm::Json),
            (None, LogFormat::Text) => match JournalSocket::of_stderr() {
                Some(journal) => (Place::Journal(journal), LineForm::Journal),
                None => (Place::Stderr, LineForm::Text),
            },
        };
        let stderr: Box<dyn Write + Send> = match copy_of_stderr() {
            Ok(copy) => Box::new(copy),
            Err(_) => Box::new(io::stderr()),
        };
        (Self { place, stderr }, form)
    }

    /// Writes a line. What a file or the journal does not take goes to standard error.
    pub(super) fn write(&mut self, line: &str) {
        let left = match &mut self.place {
            Place::Stderr => line,
            Place::File(file) => match file.write(line) {
                Ok(()) => return,
                Err(_) => line,
            },
            Place::Journal(journal) => match journal.send(line) {
                Ok(()) => return,
                Err(_) => journald::message(line),
            },
        };
        // An error of standard error has no place where it could be reported.
        drop(self.stderr.write_all(left.as_bytes()));
    }
}

/// Fails if the limit of open files is lower than its number.
fn copy_of_stderr() -> io::Result<File> {
    let copy = rustix::io::fcntl_dupfd_cloexec(io::stderr(), MIN_DESCRIPTOR)?;
    Ok(File::from(copy))
}
