//! The loader on real files: plugins that cargo builds, libraries that `cc`
//! builds, and files with a byte changed.

mod constructors;
mod example;
mod files;
mod lab;
mod versions;
