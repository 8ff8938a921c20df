//! The files of payloads that the process has mapped, kept for later payloads in the same files.
//!
//! Promises: a bounded number of mappings is kept. A mapping that rows point into lives as long as
//! they do.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use delfin_plugin_protocol::{Mapping, SharedError, SharedFile, map_file};

/// How many files are kept: the host uses few of them in turn.
const MAX_KEPT: usize = 8;

/// Mapped files; that of the last payload is the last one.
#[derive(Default)]
pub(super) struct KeptMappings {
    files: VecDeque<KeptMapping>,
}

struct KeptMapping {
    number: u64,
    mapping: Arc<Mapping>,
}

/// Shares the mapping with the rows that point into it.
struct MappedBytes(Arc<Mapping>);

impl KeptMappings {
    /// The content of a file, which is mapped unless it is known.
    ///
    /// # Errors
    ///
    /// The descriptor is not such a file, or no address space is left.
    pub(super) fn content(
        &mut self,
        number: u64,
        descriptor: &SharedFile,
    ) -> Result<Bytes, SharedError> {
        let known = self.files.iter().position(|file| file.number == number);
        let file = match known.and_then(|at| self.files.remove(at)) {
            Some(file) => file,
            None => KeptMapping {
                number,
                mapping: Arc::new(map_file(descriptor)?),
            },
        };
        if self.files.len() == MAX_KEPT {
            self.files.pop_front();
        }
        let content = Bytes::from_owner(MappedBytes(Arc::clone(&file.mapping)));
        self.files.push_back(file);
        Ok(content)
    }

    /// Whether rows of the last payload are still there.
    pub(super) fn is_in_use(&mut self) -> bool {
        let last = self.files.back_mut();
        // This also waits for the reads of a thread that has just released the rows.
        last.is_some_and(|file| Arc::get_mut(&mut file.mapping).is_none())
    }
}

impl AsRef<[u8]> for MappedBytes {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_protocol::{FilePayload, PayloadFiles};

    use super::*;

    fn payload(files: &PayloadFiles, text: &str) -> FilePayload {
        let mut buffer = files.buffer(text.len()).unwrap();
        buffer.bytes_mut()[..text.len()].copy_from_slice(text.as_bytes());
        buffer.finish(text.len())
    }

    fn read(mappings: &mut KeptMappings, payload: &FilePayload) -> Bytes {
        let descriptor = payload.file().try_clone_to_owned().unwrap();
        let content = mappings.content(payload.file_number(), &descriptor);
        content.unwrap().slice(..payload.size() as usize)
    }

    #[test]
    fn a_file_is_mapped_once_and_shows_each_payload() {
        let (files, mut mappings) = (PayloadFiles::new(1 << 20), KeptMappings::default());
        let mut starts = Vec::new();
        for text in ["one", "two", "three"] {
            let payload = payload(&files, text);
            let content = read(&mut mappings, &payload);
            assert_eq!(content, text);
            starts.push(content.as_ptr());
        }
        assert!(starts.iter().all(|start| *start == starts[0]), "{starts:?}");
    }

    #[test]
    fn rows_that_are_kept_are_noticed_and_survive_the_mapping() {
        let (files, mut mappings) = (PayloadFiles::new(1 << 20), KeptMappings::default());
        let first = payload(&files, "first");
        let kept = read(&mut mappings, &first);
        assert!(mappings.is_in_use());
        for _ in 0..=MAX_KEPT {
            let other = payload(&files, "other");
            drop(read(&mut mappings, &other));
            assert!(!mappings.is_in_use());
            other.retain();
        }
        assert_eq!(mappings.files.len(), MAX_KEPT);
        assert_eq!(kept, "first");
    }
}
