//! What is pushed, from a file or from the standard input.
//!
//! Remembers why reading failed: an HTTP client would only say that sending did.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::PushError;

const HEAD: u64 = 64 * 1024;

/// Bytes to send.
pub(super) struct Source {
    path: PathBuf,
    reader: Box<dyn Read>,
    length: Option<u64>,
    failure: Option<io::Error>,
}

impl Source {
    /// Opens a file, or the standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, PushError> {
        let (reader, length): (Box<dyn Read>, _) = if path == Path::new("-") {
            (Box::new(io::stdin().lock()), None)
        } else {
            open(path).map_err(|source| PushError::Read {
                path: path.to_owned(),
                source,
            })?
        };
        Ok(Self {
            path: path.to_owned(),
            reader,
            length,
            failure: None,
        })
    }

    /// The first bytes, taken off: enough to see what it is.
    pub(super) fn head(&mut self) -> Result<Vec<u8>, PushError> {
        let mut head = Vec::new();
        if self.by_ref().take(HEAD).read_to_end(&mut head).is_err() {
            self.check()?;
        }
        Ok(head)
    }

    /// How long all of it is, if that is known before it is read.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether all that was read could be read.
    pub(super) fn check(&mut self) -> Result<(), PushError> {
        match self.failure.take() {
            None => Ok(()),
            Some(source) => Err(PushError::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            kind.into()
        })
    }
}

fn open(path: &Path) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // A pipe or a device has no length that could be relied on.
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}
