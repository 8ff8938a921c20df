//! Processes of exporters and drivers, as every system starts them.

use std::{ffi::OsString, path::PathBuf};

use delfin_plugin_loader::LibraryCopy;

/// How this program is started again.
#[derive(Debug)]
pub(crate) struct ProcessCommand {
    pub(crate) arguments: Vec<OsString>,
    /// All of its variables.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The library that the process opens. `None`: it becomes another program.
    pub(crate) library: Option<LibraryCopy>,
}

/// The limits of a process, and its host.
#[derive(Clone, Debug)]
#[cfg_attr(
    windows,
    expect(dead_code, reason = "a job has neither a name nor a parent")
)]
pub struct ConfineArgs {
    /// The exporter's name in the configuration.
    pub name: String,
    /// The process of the host.
    pub parent: i32,
    /// Limits, in bytes and in number.
    pub memory: Option<u64>,
    pub open_files: Option<u64>,
}

/// The program that a process becomes.
#[derive(Clone, Debug)]
#[cfg_attr(windows, expect(dead_code, reason = "no process becomes a program"))]
pub struct ProgramStart {
    /// The folder of the plugin.
    pub folder: PathBuf,
    /// Whether the connection is standard output as well.
    pub stdio: bool,
    /// The path of the program.
    pub program: PathBuf,
    /// The words of the command: the name of the program, and its arguments.
    pub words: Vec<String>,
}
