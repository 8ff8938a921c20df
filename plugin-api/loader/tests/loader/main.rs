//! The loader on real files: plugins that cargo builds, libraries that `cc`
//! builds, and files with a byte changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unexpected_cfgs, reason = "the museum's host has features of its own")]

// As the museum's host calls it.
extern crate delfin_plugin_loader as loader;

mod constructors;
mod example;
mod files;
#[path = "../../../../tests/abi/hosts/host.rs"]
#[expect(unreachable_pub, reason = "a crate of its own in the museum")]
mod host;
mod lab;
mod versions;
