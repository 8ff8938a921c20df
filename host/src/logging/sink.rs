//! Where the lines of the log go: standard error, a file, or the journal of systemd.

use std::io::{self, Write};

use super::{LineForm, LogLine, encode, file::LogFile, journald};
use crate::{
    config::{LogConfig, LogFormat},
    platform::{JournalSocket, copy_of_stderr},
};

pub(super) struct LogSink {
    place: Place,
    stderr: Box<dyn Write + Send>,
}

enum Place {
    Stderr,
    File {
        file: LogFile,
        form: LineForm,
        /// Whether the last line went to standard error.
        is_failing: bool,
    },
    Journal(JournalSocket),
}

impl LogSink {
    /// The place that the configuration asks for, and the form of lines there.
    pub(super) fn open(config: &LogConfig) -> (Self, LineForm) {
        let form = match config.format {
            LogFormat::Text => LineForm::Text,
            LogFormat::Json => LineForm::Json,
        };
        let journal = || {
            (form == LineForm::Text)
                .then(JournalSocket::of_stderr)
                .flatten()
        };
        let (place, form) = match &config.file {
            Some(file) => {
                let place = Place::File {
                    file: LogFile::new(file.clone()),
                    form,
                    is_failing: false,
                };
                (place, form)
            }
            None => match journal() {
                Some(journal) => (Place::Journal(journal), LineForm::Journal),
                None => (Place::Stderr, form),
            },
        };
        let stderr: Box<dyn Write + Send> = match copy_of_stderr() {
            Ok(copy) => Box::new(copy),
            Err(_) => Box::new(io::stderr()),
        };
        (Self { place, stderr }, form)
    }

    /// Writes a line. What a file or the journal does not take goes to standard error; the first such
    /// line of a file, behind a line that says why.
    pub(super) fn write(&mut self, line: &str) {
        let left = match &mut self.place {
            Place::Stderr => line,
            Place::File {
                file,
                form,
                is_failing,
            } => match file.write(line) {
                Ok(()) => {
                    *is_failing = false;
                    return;
                }
                Err(error) => {
                    if !std::mem::replace(is_failing, true) {
                        let reason = unwritable(*form, file, &error);
                        // As below.
                        drop(self.stderr.write_all(reason.as_bytes()));
                    }
                    line
                }
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

fn unwritable(form: LineForm, file: &LogFile, error: &io::Error) -> String {
    let fields = [
        ("file".to_owned(), file.path().display().to_string()),
        ("error".to_owned(), error.to_string()),
    ];
    let line = LogLine {
        level: log::Level::Warn,
        target: module_path!(),
        message: "cannot write the log file, its lines go to standard error (see `log.file`)",
        fields: &fields,
    };
    encode(form, &line)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::config::LogFileConfig;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn take(&self) -> String {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(bytes).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_once_until_it_can_be_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.log");
        let stderr = Written::default();
        let mut sink = LogSink {
            place: Place::File {
                file: LogFile::new(LogFileConfig {
                    path: path.clone(),
                    max_bytes: 1 << 20,
                    count: 1,
                }),
                form: LineForm::Text,
                is_failing: false,
            },
            stderr: Box::new(stderr.clone()),
        };
        for _ in 0..2 {
            sink.write("in the file\n");
            assert_eq!(stderr.take(), "");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            sink.write("first\n");
            let shown = stderr.take();
            let (reason, line) = shown.split_once('\n').unwrap();
            assert!(
                reason.contains("WARN") && reason.contains(&*path.to_string_lossy()),
                "{reason}"
            );
            assert_eq!(line, "first\n");
            sink.write("second\n");
            assert_eq!(stderr.take(), "second\n");
            fs::remove_dir(&path).unwrap();
        }
    }
}
