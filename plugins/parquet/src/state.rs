//! The names of files, and which files of the last request are stored.
//!
//! Promises: the same rows, sent with the same others, have the same names; an attempt goes on
//! where the one before ended, so that many files need not fit in the time of one call.

use std::collections::HashSet;

use delfin_plugin_api::{BatchPart, Uuid};

/// The files of one request that are stored.
#[derive(Debug, Default)]
pub(crate) struct StoredFiles {
    key: String,
    paths: HashSet<String>,
}

impl StoredFiles {
    /// Forgets the files of another request.
    pub(crate) fn begin(&mut self, key: &str) {
        if self.key != key {
            key.clone_into(&mut self.key);
            self.paths.clear();
        }
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    pub(crate) fn add(&mut self, path: String) {
        self.paths.insert(path);
    }
}

/// The name of the files of a request: the first batch, and a hash of all batches and their rows.
pub(crate) fn file_name(first: Option<BatchPart<'_>>, key: &str) -> String {
    let batch_id = first.map(|part| part.batch_id).unwrap_or_default();
    let hash = Uuid::new_v5(&batch_id, key.as_bytes()).simple().to_string();
    format!("{batch_id}-{}.parquet", &hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_depends_on_the_whole_key() {
        let [a, b] = ["e/1:0+5", "e/1:0+6"].map(|key| file_name(None, key));
        assert_ne!(a, b);
        assert_eq!(a, file_name(None, "e/1:0+5"));
        let start = "00000000-0000-0000-0000-000000000000-";
        assert!(a.starts_with(start) && a.ends_with(".parquet"), "{a}");
    }

    #[test]
    fn files_of_another_request_are_forgotten() {
        let mut stored = StoredFiles::default();
        stored.begin("a");
        stored.add("file".to_owned());
        stored.begin("a");
        assert!(stored.contains("file"));
        stored.begin("b");
        assert!(!stored.contains("file"));
    }
}
