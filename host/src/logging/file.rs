//! The log file of the host, and its rotation.
//!
//! A file that was moved or removed, as logrotate does, is noticed before the next line, and a
//! new one is created: no signal is needed. Our own, because crates for rotation do not notice it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    config::LogFileConfig,
    platform::{FileId, FileReaders, OpenRestricted, check_writable},
};

pub(super) struct LogFile {
    config: LogFileConfig,
    open: Option<OpenLogFile>,
}

struct OpenLogFile {
    file: File,
    id: FileId,
    bytes: u64,
}

impl LogFile {
    /// Opens the file with the first line.
    pub(super) const fn new(config: LogFileConfig) -> Self {
        Self { config, open: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.config.path
    }

    /// Whether the file could be written, as far as can be seen without creating it.
    ///
    /// # Errors
    ///
    /// It is not a regular file, or this user cannot write it or create it.
    pub(super) fn check(&self) -> io::Result<()> {
        let path = &self.config.path;
        match fs::metadata(path) {
            Ok(_) => self.open().map(drop),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|folder| *folder != Path::new(""));
                let folder = folder.unwrap_or_else(|| Path::new("."));
                check_writable(folder)
            }
            Err(error) => Err(error),
        }
    }

    /// Appends a line. After an error the next line opens the file again.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        let added = line.len() as u64;
        let mut open = match self.open.take().filter(|open| self.is_in_place(open)) {
            Some(open) => open,
            None => self.open()?,
        };
        if open.bytes > 0 && open.bytes + added > self.config.max_bytes {
            self.rotate()?;
            open = self.open()?;
        }
        open.file.write_all(line.as_bytes())?;
        open.bytes += added;
        self.open = Some(open);
        Ok(())
    }

    /// Whether the path still names the open file.
    fn is_in_place(&self, open: &OpenLogFile) -> bool {
        FileId::of_path(&self.config.path).is_ok_and(|found| found == open.id)
    }

    fn open(&self) -> io::Result<OpenLogFile> {
        // To open a named pipe would wait for a reader.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .readable_by(FileReaders::Group)
            .open_no_wait(&self.config.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(OpenLogFile {
            id: FileId::of(&file)?,
            file,
            bytes: metadata.len(),
        })
    }

    /// Renames `FILE` to `FILE.1`, `FILE.1` to `FILE.2`, and so on. The oldest file is replaced.
    fn rotate(&self) -> io::Result<()> {
        for number in (1..=self.config.count).rev() {
            let from = match number {
                1 => self.config.path.clone(),
                _ => self.rotated(number - 1),
            };
            match fs::rename(from, self.rotated(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn rotated(&self, number: u64) -> PathBuf {
        let mut name = self.config.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_file(folder: &tempfile::TempDir) -> LogFile {
        LogFile::new(LogFileConfig {
            path: folder.path().join("host.log"),
            max_bytes: 12,
            count: 2,
        })
    }

    fn content(folder: &tempfile::TempDir) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        pairs.collect()
    }

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log_file(&folder);
        for number in 1..=7 {
            log.write(&format!("line{number}\n")).unwrap();
        }
        let wanted = [
            ("host.log", "line7\n"),
            ("host.log.1", "line5\nline6\n"),
            ("host.log.2", "line3\nline4\n"),
        ];
        assert_eq!(content(&folder), pairs(&wanted));
        // A longer line has a file of its own; the next start goes on in the last one.
        log.write("a line that is too long\n").unwrap();
        log_file(&folder).write("next\n").unwrap();
        let files = content(&folder);
        assert_eq!(files[0].1, "next\n");
        assert_eq!(files[1].1, "a line that is too long\n");
        log_file(&folder).write("same\n").unwrap();
        assert_eq!(content(&folder)[0].1, "next\nsame\n");
    }

    #[test]
    fn a_file_that_was_moved_or_removed_is_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log_file(&folder);
        let path = folder.path().join("host.log");
        log.write("one\n").unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        log.write("two\n").unwrap();
        fs::remove_file(&path).unwrap();
        log.write("three\n").unwrap();
        let wanted = [("host.log", "three\n"), ("moved", "one\n")];
        assert_eq!(content(&folder), pairs(&wanted));
        // What is no file is an error, and no hang; afterwards it works again.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(log.write("four\n").is_err());
        fs::remove_dir(&path).unwrap();
        log.write("five\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "five\n");
    }
}
