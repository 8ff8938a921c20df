//! Finds, inspects, checks and opens plugins.
//!
//! - [`find`] lists files, [`inspect`] reads one, [`check`] checks whether it is
//!   compatible with this host. None of them runs code of the plugin.
//! - A [`Catalog`] does all three for the plugin folders, and chooses the file for an
//!   exporter.
//! - [`open`] opens a plugin in this process. [`prepare`] and [`load`] are its two parts,
//!   for a library that another process opens.
//!
//! A plugin is a shared library, or a folder `NAME.plugin` with a manifest `plugin.toml` and
//! the command that it names. The host runs the command in a process of its own.
//!
//! A problem with a file is a [`PluginError`]: one line with the file, the reason and
//! the remedy. It never stops the other files.
//!
//! Knows the types of the plugin interface, and nothing of Arrow, of how an author
//! writes an exporter, or of the host and its configuration.

#![warn(missing_docs)]

mod c_plugin;
mod cache;
mod catalog;
mod check;
mod elf;
mod error;
mod find;
mod folder;
mod glibc;
mod hashes;
mod image;
mod inspect;
mod layout;
mod library;
mod linker_path;
mod manifest;
mod module;
mod open;
mod pe;
pub mod platform;
mod sha256;
mod temporary_file;
mod trust;

pub use catalog::{Catalog, CatalogDriver, CatalogEntry, CatalogError, DuplicateExporter};
pub use check::{TARGET, accept, check};
pub use error::{PluginError, Reason};
pub use find::find;
pub use folder::{PluginCommand, PreparedCommand, ProgramTransport};
pub use glibc::{GlibcVersion, ParseGlibcVersionError};
pub use hashes::FileHashes;
pub use image::Image;
pub use inspect::{Inspection, MAX_BYTES, inspect};
pub use manifest::{Manifest, ManifestDriver, ManifestExporter, ManifestIsolation};
pub use module::PluginModule;
pub use open::{
    LibraryCopy, OpenOptions, OpenPlugin, PluginProgram, PreparedPlugin, load, open, prepare,
};
pub use platform::Writer;
pub use sha256::{ParseSha256Error, Sha256};
pub use trust::{PathRole, UntrustedFile, WritablePath};
