//! Finds, inspects, checks and opens plugins: four steps, each of its own.
//!
//! - [`find`] looks for files, [`inspect`] reads one, [`check`] says whether it
//!   fits this host. None of them runs any of the plugin's code.
//! - [`open`] makes it part of this process.
//! - a [`Catalog`] says which file an exporter is taken from.
//!
//! Whatever is wrong with a file is a [`Refusal`]: one line that names the file,
//! the reason and the remedy. It never stops the other files.
//!
//! Knows the types that cross the boundary and nothing else: not Arrow, not how
//! an author writes an exporter, not the host and its configuration.

#![warn(missing_docs)]

mod cache;
mod catalog;
mod check;
mod distrust;
mod elf;
mod find;
mod glibc;
mod image;
mod inspect;
mod layout;
mod library;
mod manifest;
mod open;
mod probe;
mod refusal;
mod search;
mod sha256;

pub use catalog::{Catalog, Duplicate, NotOffered, Offer};
pub use check::{TARGET, check};
pub use distrust::Distrust;
pub use find::find;
pub use glibc::GlibcVersion;
pub use image::Image;
pub use inspect::{Inspection, MAX_BYTES, inspect};
pub use manifest::{Manifest, ManifestExporter};
pub use open::{OpenOptions, OpenPlugin, open};
pub use probe::{Probe, probe};
pub use refusal::{Reason, Refusal};
pub use sha256::{NotASha256, Sha256};
