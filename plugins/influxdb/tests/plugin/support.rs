//! Shared by the tests: instances of the built library.

use std::{path::PathBuf, sync::LazyLock};

use delfin_plugin_api::testkit::{Harness, TestInstance, build_library};
use serde_json::Value;
use tempfile::TempDir;

static LIBRARY: LazyLock<PathBuf> = LazyLock::new(build_library);

/// The library under test, and a folder.
pub(crate) struct Lab {
    harness: Harness,
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            harness: Harness::open(&LIBRARY),
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn performance(&self, settings: &Value) -> TestInstance {
        self.create("PerformanceExporterInfluxDB", settings)
    }

    pub(crate) fn alerts(&self, settings: &Value) -> TestInstance {
        self.create("AlertExporterInfluxDB", settings)
    }

    fn create(&self, exporter: &str, settings: &Value) -> TestInstance {
        let created = self.harness.create(exporter, settings, self.folder.path());
        created.unwrap_or_else(|outcome| panic!("{}", outcome.message))
    }
}
