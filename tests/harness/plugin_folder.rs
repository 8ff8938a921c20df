//! Plugins that are folders, with the Python kit in them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{Setup, receivers, runs_windows};

/// Whether plugins in Python run: Python is here, and the host is for a system that has such plugins. Where Python is
/// missing, CI fails, and a line says what is not tested.
#[must_use]
pub fn has_python() -> bool {
    !runs_windows() && receivers::binary("python3").is_some()
}

/// The folder of an example of the Python kit.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    kit().join(format!("examples/{name}.plugin"))
}

/// The folder of a plugin for tests of the Python kit.
#[must_use]
pub fn test_plugin(name: &str) -> PathBuf {
    kit().join(format!("tests/{name}.plugin"))
}

fn kit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/python")
}

impl Setup {
    /// Copies the folder of a plugin, with the kit, into the plugin folder.
    pub fn install(&self, folder: &Path, name: &str) -> PathBuf {
        let copy = self.path("plugins").join(name);
        must(copy_folder(folder, &copy));
        must(copy_folder(
            &kit().join("src/delfin_plugin"),
            &copy.join("delfin_plugin"),
        ));
        copy
    }

    /// Makes a plugin of a manifest and a program.
    pub fn install_program(&self, name: &str, manifest: &str, program: &str) -> PathBuf {
        let folder = self.path("plugins").join(name);
        must(fs::create_dir(&folder));
        must(set_mode(&folder, 0o755));
        for (name, text) in [("plugin.toml", manifest), ("program", program)] {
            must(fs::write(folder.join(name), text));
            must(set_mode(&folder.join(name), 0o755));
        }
        folder
    }
}

/// Other users cannot write the copies, with any umask.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    set_mode(to, 0o755)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_name() == "__pycache__" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), &copy)?;
            set_mode(&copy, 0o644)?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn must(result: io::Result<()>) {
    result.unwrap_or_else(|error| panic!("cannot make the folder of a plugin: {error}"));
}
