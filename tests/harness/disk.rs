//! A small file system that a test can fill.

use std::{fs, io::Write, path::PathBuf, process::Command};

use crate::{CommandOutput, missing};

/// A small file system at a folder, until it is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// `None` where mounting is not allowed, which is an error in CI.
    #[must_use]
    pub fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&at).unwrap_or_else(|error| panic!("make a folder: {error}"));
        let mut mount = Command::new("mount");
        let size = format!("size={size}");
        let output = CommandOutput::run(mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at));
        if output.code == Some(0) {
            return Some(Self(at));
        }
        let why = output.stderr.lines().next().unwrap_or_default();
        missing("a full disk", &format!("mounting is not allowed: {why}"));
        None
    }

    /// Fills all free space.
    pub fn fill(&self) {
        let file = fs::File::create(self.0.join("filler"));
        let mut file = file.unwrap_or_else(|error| panic!("make a file: {error}"));
        while file.write_all(&[7; 4096]).is_ok() {}
    }

    /// Frees the space that [`fill`](Self::fill) took.
    pub fn free(&self) {
        let removed = fs::remove_file(self.0.join("filler"));
        removed.unwrap_or_else(|error| panic!("remove a file: {error}"));
    }

    /// Remounts the file system writable or read-only.
    pub fn set_writable(&self, writable: bool) {
        let how = if writable { "remount,rw" } else { "remount,ro" };
        let mut mount = Command::new("mount");
        let _ = CommandOutput::run(mount.args(["-o", how]).arg(&self.0)).expect_exit(0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = CommandOutput::run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}
