//! The loader on real files: plugins built by cargo, libraries built by `cc`, and files
//! with changed bytes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    unexpected_cfgs,
    reason = "the host of `tests/abi` has its own features"
)]

// The name that the host of `tests/abi` uses.
extern crate delfin_plugin_loader as loader;

mod constructors;
mod example;
mod files;
mod folders;
#[path = "../../../../tests/abi/hosts/host.rs"]
#[expect(unreachable_pub, reason = "it is a crate in `tests/abi`")]
mod host;
mod lab;
mod versions;
