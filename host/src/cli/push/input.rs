//! The input of a push: a file or standard input.
//!
//! The input remembers why reading failed: the HTTP client only reports that sending
//! failed.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::error::PushError;

/// Enough to recognise the format.
const HEAD_BYTES: u64 = 64 * 1024;

pub(super) struct PushInput {
    path: PathBuf,
    reader: Box<dyn Read>,
    length: Option<u64>,
    error: Option<io::Error>,
}

impl PushInput {
    /// Opens a file, or standard input for `-`.
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
            error: None,
        })
    }

    /// Reads the first bytes.
    pub(super) fn head(&mut self) -> Result<Vec<u8>, PushError> {
        let mut head = Vec::new();
        if self
            .by_ref()
            .take(HEAD_BYTES)
            .read_to_end(&mut head)
            .is_err()
        {
            self.check()?;
        }
        Ok(head)
    }

    /// The length, if it is known before the input is read.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the error of an earlier read.
    pub(super) fn check(&mut self) -> Result<(), PushError> {
        match self.error.take() {
            None => Ok(()),
            Some(source) => Err(PushError::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

impl Read for PushInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }
}

fn open(path: &Path) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // The length of a pipe or a device means nothing.
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}
