//! Payloads that several processes map: sealed anonymous files.
//!
//! Promises: the content of a payload never changes, because the kernel refuses each
//! write to a sealed file; a received descriptor is used only after its seals and its
//! length were checked.

#![expect(
    unsafe_code,
    reason = "the compiler cannot know that a mapped file does not change"
)]

use std::{
    ffi::c_void,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    slice,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// The seals of a payload: nothing about the file can change.
const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::GROW)
    .union(SealFlags::SHRINK)
    .union(SealFlags::SEAL);

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
    file: OwnedFd,
    len: u64,
}

impl SharedPayload {
    /// Creates a payload with what `write` writes.
    ///
    /// # Errors
    ///
    /// `write` failed, or no memory is left.
    pub fn create(write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create(c"delfin-batch", flags)?);
        write(&mut file)?;
        fcntl_add_seals(&file, SEALS)?;
        let len = file.metadata()?.len();
        let file = file.into();
        Ok(Self { file, len })
    }

    /// A payload that another process has sent. `said` is the length in its message.
    ///
    /// # Errors
    ///
    /// The descriptor is not sealed, or has another length.
    pub fn receive(file: OwnedFd, said: u64) -> Result<Self, SharedError> {
        let seals = fcntl_get_seals(&file).map_err(|_| SharedError::NotSealed)?;
        if !seals.contains(SEALS) {
            return Err(SharedError::NotSealed);
        }
        let found = fstat(&file).map_err(io::Error::from)?.st_size;
        let found = u64::try_from(found).unwrap_or_default();
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
        Ok(Mapping::new(&self.file, len, ProtFlags::READ)?)
    }
}

impl AsFd for SharedPayload {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A mapped file; unmapped when it is dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps the first `len` bytes of a file, which cannot become shorter.
    pub(crate) fn new(file: impl AsFd, len: usize, access: ProtFlags) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                len,
            });
        }
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, file, 0) };
        let start = NonNull::new(start?.cast::<u8>());
        let start = start.ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, len })
    }

    /// Where it begins, and its bytes.
    pub(crate) fn parts(&self) -> (NonNull<u8>, usize) {
        (self.start, self.len)
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` is dangling for 0 bytes, or a mapping of `len` readable bytes that
        // lives as long as `self`. No process can shorten the file. No process can write one that
        // is sealed against that, and the owner of another one writes it only when no process reads it.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        let start = self.start.as_ptr().cast::<c_void>();
        // SAFETY: the mapping is `self`'s own, and no reference into it outlives `self`.
        let unmapped = unsafe { munmap(start, self.len) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

// SAFETY: through a shared reference, the content is only read.
unsafe impl Sync for Mapping {}
