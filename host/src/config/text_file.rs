//! Reads the files that a configuration consists of: itself, and its secrets.
//!
//! A file is read again at each reload, so only regular files are accepted: a read of
//! a named pipe could wait indefinitely.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::regular_file;

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
    let file = regular_file::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => TextFileError::NotRegular,
        _ => TextFileError::Io(error),
    })?;
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
}
