//! Files for shared payloads that are used again, so that a process maps each of them once.
//!
//! To map a new file costs a process more than to read a payload: the kernel has to enter each page
//! into its tables. [`PayloadFiles`] keeps the files of payloads that are not needed any more for later ones, the last
//! one first, and a process keeps what it has mapped.
//!
//! Promises: no other process can write a file, because the kernel refuses it. The content of a
//! [`FilePayload`] does not change while it exists. After that, its file has another payload, unless
//! [`FilePayload::retain`] was called.

#![expect(
    unsafe_code,
    reason = "the compiler cannot know that no other process writes a mapped file"
)]

use std::{
    io, slice,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    platform::{
        BorrowedFile, FileSeals, Mapping, MappingAccess, SharedFile, borrow, has_seals, length_of,
        new_file, seal,
    },
    shared::SharedError,
};

/// The smallest file, in bytes.
const MIN_CAPACITY: usize = 64 << 10;

/// A file that is so many times larger than a payload is left for others.
const MAX_EXCESS: usize = 8;

/// Files for payloads.
#[derive(Debug)]
pub struct PayloadFiles {
    free: Arc<FreeFiles>,
}

#[derive(Debug)]
struct FreeFiles {
    max_bytes: usize,
    /// The file that was used last is the last one.
    files: Mutex<Vec<PayloadFile>>,
}

#[derive(Debug)]
struct PayloadFile {
    descriptor: SharedFile,
    mapping: Mapping,
    number: u64,
    /// How many bytes were written at most: so many have memory.
    used: usize,
}

/// A file without a payload, and its memory.
#[derive(Debug)]
pub struct PayloadBuffer {
    /// `None` only while it is dropped.
    file: Option<PayloadFile>,
    free: Arc<FreeFiles>,
}

/// A payload in a file.
#[derive(Debug)]
pub struct FilePayload {
    buffer: PayloadBuffer,
    len: usize,
    is_retained: AtomicBool,
}

impl PayloadFiles {
    /// Keeps up to `max_bytes` of memory for later payloads.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        let free = Arc::new(FreeFiles {
            max_bytes,
            files: Mutex::default(),
        });
        Self { free }
    }

    /// Memory for a payload of at most so many bytes.
    ///
    /// # Errors
    ///
    /// No memory or no descriptor is left, or the system has no such files, as Linux before 5.1.
    pub fn buffer(&self, capacity: usize) -> io::Result<PayloadBuffer> {
        let file = match self.free.take(capacity) {
            Some(file) => file,
            None => PayloadFile::create(capacity)?,
        };
        Ok(PayloadBuffer {
            file: Some(file),
            free: Arc::clone(&self.free),
        })
    }
}

impl FreeFiles {
    /// The file that fits best, and of equal ones that which was used last: its memory is in
    /// the caches of the processors.
    fn take(&self, capacity: usize) -> Option<PayloadFile> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |file: &PayloadFile| {
            let found = file.mapping.as_ref().len();
            found >= capacity && found <= capacity.max(MIN_CAPACITY).saturating_mul(MAX_EXCESS)
        };
        let fitting = files
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, file)| fits(file));
        let (at, _) = fitting.min_by_key(|(_, file)| file.mapping.as_ref().len())?;
        Some(files.remove(at))
    }

    fn put_back(&self, file: PayloadFile) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push(file);
        let mut bytes: usize = files.iter().map(|file| file.used).sum();
        let unneeded = files.iter().take_while(|file| {
            let is_over = bytes > self.max_bytes;
            bytes -= file.used;
            is_over
        });
        let unneeded = unneeded.count();
        // Closed and unmapped after the lock is released.
        let _unneeded: Vec<PayloadFile> = files.drain(..unneeded).collect();
        drop(files);
    }
}

impl PayloadFile {
    fn create(capacity: usize) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let capacity = capacity.max(MIN_CAPACITY).next_power_of_two();
        let file = new_file(c"delfin-batches")?;
        file.set_len(capacity as u64)?;
        let mapping = Mapping::new(&file, capacity, MappingAccess::Write)?;
        seal(&file, FileSeals::NewWriters)?;
        Ok(Self {
            descriptor: file.into(),
            mapping,
            number: NEXT.fetch_add(1, Relaxed),
            used: 0,
        })
    }
}

impl PayloadBuffer {
    /// The memory: at least as much as was asked for, with any content.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let Some(file) = &mut self.file else {
            return &mut [];
        };
        let (start, len) = file.mapping.parts();
        // SAFETY: the mapping has `len` writable bytes and lives as long as `self`, which is
        // borrowed. A file belongs to one buffer or payload at a time, and the kernel refuses
        // writes of other processes. Those that have mapped the file do not read it now: the
        // last payload was dropped, and was not retained.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) }
    }

    /// The first bytes are the payload.
    ///
    /// # Panics
    ///
    /// The buffer is shorter.
    #[must_use]
    pub fn finish(mut self, len: usize) -> FilePayload {
        if let Some(file) = &mut self.file {
            assert!(
                len <= file.mapping.as_ref().len(),
                "a payload beyond its file"
            );
            file.used = file.used.max(len);
        }
        FilePayload {
            buffer: self,
            len,
            is_retained: AtomicBool::new(false),
        }
    }
}

impl FilePayload {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len as u64
    }

    /// The number of its file, which no other file of this process has.
    #[must_use]
    pub fn file_number(&self) -> u64 {
        self.buffer.file.as_ref().map_or(0, |file| file.number)
    }

    /// A process goes on to read the payload: the file gets no other one.
    pub fn retain(&self) {
        self.is_retained.store(true, Relaxed);
    }

    /// The file, to send it with a frame.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the file is taken only by `drop`")]
    pub fn file(&self) -> BorrowedFile<'_> {
        let file = self.buffer.file.as_ref();
        borrow(&file.expect("a payload has a file").descriptor)
    }
}

impl AsRef<[u8]> for FilePayload {
    fn as_ref(&self) -> &[u8] {
        let file = self.buffer.file.as_ref();
        file.map_or(&[], |file| &file.mapping.as_ref()[..self.len])
    }
}

impl Drop for FilePayload {
    fn drop(&mut self) {
        if *self.is_retained.get_mut() {
            self.buffer.file = None;
        }
    }
}

impl Drop for PayloadBuffer {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.free.put_back(file);
        }
    }
}

/// Maps the whole file of a payload that another process has sent.
///
/// # Errors
///
/// The descriptor is not such a file, or no address space is left.
pub fn map_file(file: &SharedFile) -> Result<Mapping, SharedError> {
    if !has_seals(file, FileSeals::NewWriters) {
        return Err(SharedError::NotSealed);
    }
    let len = usize::try_from(length_of(file)?).map_err(io::Error::other)?;
    Ok(Mapping::new(file, len, MappingAccess::Read)?)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    fn payload(files: &PayloadFiles, content: &[u8]) -> FilePayload {
        let mut buffer = files.buffer(content.len()).unwrap();
        buffer.bytes_mut()[..content.len()].copy_from_slice(content);
        buffer.finish(content.len())
    }

    #[test]
    fn a_file_is_used_again_and_a_mapping_of_it_shows_the_next_payload() {
        let files = PayloadFiles::new(1 << 20);
        let first = payload(&files, b"first");
        let mapped = map_file(&first.file().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(&mapped.as_ref()[..5], b"first");
        let number = first.file_number();
        let other = payload(&files, b"other");
        assert_ne!(other.file_number(), number);
        drop(first);
        let next = payload(&files, b"next!");
        assert_eq!((next.file_number(), next.as_ref()), (number, &b"next!"[..]));
        assert_eq!(&mapped.as_ref()[..5], b"next!");
    }

    #[test]
    fn a_retained_file_is_not_used_again() {
        let files = PayloadFiles::new(1 << 20);
        let first = payload(&files, b"first");
        let mapped = map_file(&first.file().try_clone_to_owned().unwrap()).unwrap();
        let number = first.file_number();
        first.retain();
        drop(first);
        assert_ne!(payload(&files, b"other").file_number(), number);
        assert_eq!(&mapped.as_ref()[..5], b"first");
    }

    #[test]
    fn other_processes_cannot_write_a_file_or_change_its_size() {
        let files = PayloadFiles::new(1 << 20);
        let payload = payload(&files, b"rows");
        let received = payload.file().try_clone_to_owned().unwrap();
        let writable = Mapping::new(&received, 4, MappingAccess::Write);
        assert!(writable.is_err());
        let mut file = File::from(received);
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(1).is_err());
        assert!(file.set_len(1 << 30).is_err());
        assert_eq!(payload.as_ref(), b"rows");
    }

    #[test]
    fn only_a_sealed_file_is_mapped() {
        let file = memfd_create(c"open", MemfdFlags::ALLOW_SEALING).unwrap();
        let error = map_file(&file).unwrap_err();
        assert!(matches!(error, SharedError::NotSealed), "{error}");
    }

    #[test]
    fn unused_files_beyond_the_limit_are_closed_and_the_best_fit_is_taken() {
        let files = PayloadFiles::new(200_000);
        let large = payload(&files, &[1; 150_000]);
        let small = payload(&files, &[2; 70_000]);
        let numbers = [large.file_number(), small.file_number()];
        drop(large);
        drop(small);
        // Both together are over the limit: the one that was used first is closed.
        assert_eq!(payload(&files, &[3; 70_000]).file_number(), numbers[1]);
        assert!(!numbers.contains(&payload(&files, &[4; 150_000]).file_number()));
    }
}
