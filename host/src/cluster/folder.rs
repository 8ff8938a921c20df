//! The id of the state folder, in a file of the folder.
//!
//! A volume that is not mounted leaves another folder in its place. The lease names the folder of the cluster, so that no member
//! becomes active with another one.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::platform::{FileReaders, create_folders, sync_folder};

/// The file with the id.
pub const FOLDER_ID: &str = "cluster.id";

const MAX_BYTES: u64 = 128;

/// The id of a folder; `None` if it has none, or does not exist.
pub(super) fn read(state_dir: &Path) -> io::Result<Option<String>> {
    let file = match File::open(state_dir.join(FOLDER_ID)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut id = String::new();
    file.take(MAX_BYTES).read_to_string(&mut id)?;
    Ok(Some(id.trim().to_owned()))
}

/// The id of a folder, which gets one if it has none. Of two members that do so at a time, both return the same.
pub(super) fn read_or_create(state_dir: &Path) -> io::Result<Option<String>> {
    if let Some(id) = read(state_dir)? {
        return Ok(Some(id));
    }
    create_folders(state_dir, FileReaders::Owner)?;
    let id = Uuid::now_v7().to_string();
    let mut file = NamedTempFile::new_in(state_dir)?;
    writeln!(file, "{id}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(state_dir.join(FOLDER_ID)) {
        Ok(_) => {
            sync_folder(state_dir)?;
            Ok(Some(id))
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => read(state_dir),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_the_id_that_it_gets_first() {
        let parent = tempfile::tempdir().unwrap();
        let state_dir = parent.path().join("state");
        assert_eq!(read(&state_dir).unwrap(), None);
        let id = read_or_create(&state_dir).unwrap();
        assert!(id.is_some());
        assert_eq!(read_or_create(&state_dir).unwrap(), id);
        assert_eq!(read(&state_dir).unwrap(), id);
        let files = state_dir.read_dir().unwrap().count();
        assert_eq!(files, 1);
    }
}
