//! A small file system, to be filled.

use std::{fs, io::Write, path::PathBuf, process::Command};

use crate::Ran;

/// A small file system at a folder, until it is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// None where mounting is not allowed: that is said, and in CI it is an error.
    ///
    /// # Panics
    ///
    /// The folder is there already; or, in CI, mounting is not allowed.
    #[must_use]
    pub fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&at).unwrap_or_else(|error| panic!("make a folder: {error}"));
        let mut mount = Command::new("mount");
        let size = format!("size={size}");
        let ran = Ran::of(mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at));
        if ran.code == Some(0) {
            return Some(Self(at));
        }
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!ci, "a full disk cannot be tried: {}", ran.stderr);
        // Past the test program's capture: what was not tried must be seen.
        let why = ran.stderr.lines().next().unwrap_or_default();
        let line = format!("NOT RUN: a full disk, for mounting is not allowed: {why}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        None
    }

    /// Takes all that is left.
    ///
    /// # Panics
    ///
    /// No file can be made.
    pub fn fill(&self) {
        let file = fs::File::create(self.0.join("filler"));
        let mut file = file.unwrap_or_else(|error| panic!("make a file: {error}"));
        while file.write_all(&[7; 4096]).is_ok() {}
    }

    /// Gives back what was taken.
    ///
    /// # Panics
    ///
    /// Nothing was.
    pub fn make_room(&self) {
        let removed = fs::remove_file(self.0.join("filler"));
        removed.unwrap_or_else(|error| panic!("remove a file: {error}"));
    }

    /// Whether it may be written.
    ///
    /// # Panics
    ///
    /// Somebody writes it, or the system does not let us.
    pub fn set_writable(&self, writable: bool) {
        let how = if writable { "remount,rw" } else { "remount,ro" };
        let mut mount = Command::new("mount");
        let _ = Ran::of(mount.args(["-o", how]).arg(&self.0)).exits(0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Ran::of(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}
