//! `new exporter` and `new driver`: write a project with a working extension.
//!
//! The project needs nothing of this repository: a folder of it holds the sources of
//! `delfin-plugin-api`, the Python kit, or the headers of the C interface, as they were when this
//! host was built.

mod driver;
mod exporter;
mod name;
mod project;
mod sdk;

pub use driver::NewDriverArgs;
pub use exporter::NewExporterArgs;

pub(super) use driver::run as run_driver;
pub(super) use exporter::run as run_exporter;
