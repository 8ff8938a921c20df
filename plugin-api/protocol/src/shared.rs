//! Payloads that several processes map: sealed anonymous files.
//!
//! Promises: the content of a payload never changes, because the kernel refuses each
//! write to a sealed file; a received descriptor is used only after its seals and its
//! length were checked.

use std::{fs::File, io};

use crate::platform::{
    BorrowedFile, FileSeals, Mapping, MappingAccess, SharedFile, borrow, has_seals, length_of,
    new_file, seal,
};

/// Why a descriptor is not a shared payload.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// The descriptor is not a sealed anonymous file, or seals are missing.
    #[error("the descriptor of a shared payload is not a sealed memfd")]
    NotSealed,
    /// The file does not have the length that the message says.
    #[error("a shared payload has {found} bytes, its message says {said}")]
    OtherLength {
        /// Bytes of the file.
        found: u64,
        /// Bytes that the message says.
        said: u64,
    },
    /// The system refused.
    #[error("a shared payload cannot be mapped")]
    Io(#[from] io::Error),
}

/// A payload in a sealed anonymous file.
#[derive(Debug)]
pub struct SharedPayload {
    file: SharedFile,
    len: u64,
}

impl SharedPayload {
    /// Creates a payload with what `write` writes.
    ///
    /// # Errors
    ///
    /// `write` failed, no memory is left, or the system has no such files.
    pub fn create(write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Self> {
        let mut file = new_file(c"delfin-batch")?;
        write(&mut file)?;
        seal(&file, FileSeals::All)?;
        let len = file.metadata()?.len();
        let file = file.into();
        Ok(Self { file, len })
    }

    /// A payload that another process has sent. `said` is the length in its message.
    ///
    /// # Errors
    ///
    /// The descriptor is not sealed, or has another length.
    pub fn receive(file: SharedFile, said: u64) -> Result<Self, SharedError> {
        if !has_seals(&file, FileSeals::All) {
            return Err(SharedError::NotSealed);
        }
        let found = length_of(&file)?;
        if found != said {
            return Err(SharedError::OtherLength { found, said });
        }
        Ok(Self { file, len: said })
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Maps the content for reading.
    ///
    /// # Errors
    ///
    /// No address space is left.
    pub fn map(&self) -> Result<Mapping, SharedError> {
        let len = usize::try_from(self.len).map_err(io::Error::other)?;
        Ok(Mapping::new(&self.file, len, MappingAccess::Read)?)
    }

    /// The file, to send it with a frame.
    #[must_use]
    pub fn file(&self) -> BorrowedFile<'_> {
        borrow(&self.file)
    }
}
