//! Reads the files that a configuration consists of: itself, and its secrets.
//!
//! A file is read again at each reload, so only regular files are accepted: a read of
//! a named pipe could wait indefinitely.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// Why a file has no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextFileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it is larger than {}KiB", .max_bytes / 1024)]
    TooLarge { max_bytes: u64 },
    #[error("it is not UTF-8 text")]
    NotText,
}

/// Reads a whole file of at most `max_bytes`. Returns the open file for its metadata.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<(File, String), TextFileError> {
    // Without `NONBLOCK`, opening a named pipe waits for a writer.
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)?;
    let is_file = file.metadata()?.is_file();
    if !is_file {
        return Err(TextFileError::NotRegular);
    }
    let mut bytes = Vec::new();
    (&file).take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(TextFileError::TooLarge { max_bytes });
    }
    let text = String::from_utf8(bytes).map_err(|_| TextFileError::NotText)?;
    Ok((file, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_regular_text_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let check = |text: &str| {
            let read = read(&path, 1024).map(|(_, text)| text);
            assert_eq!(
                read.map_err(|error| error.to_string()),
                Err(text.to_owned())
            );
        };
        check("No such file or directory (os error 2)");
        std::fs::write(&path, [b'x'; 1025]).unwrap();
        check("it is larger than 1KiB");
        std::fs::write(&path, [0xff]).unwrap();
        check("it is not UTF-8 text");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read(&path, 1024).unwrap().1, "text");
    }

    #[test]
    fn a_named_pipe_without_a_writer_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        let error = read(&path, 1024).unwrap_err();
        assert!(matches!(error, TextFileError::NotRegular), "{error:?}");
        let error = read(folder.path(), 1024).unwrap_err();
        assert!(matches!(error, TextFileError::NotRegular), "{error:?}");
    }
}
