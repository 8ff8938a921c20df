//! Shared by the tests: instances of the built library.

use std::{path::PathBuf, rc::Rc, sync::LazyLock};

use delfin_plugin_api::{
    Outcome, sample,
    testkit::{CallOptions, Harness, TestInstance, build_library},
};
use serde_json::{Value, json};
use tempfile::TempDir;

static LIBRARY: LazyLock<PathBuf> = LazyLock::new(build_library);

thread_local! {
    /// Shared by the tests of a thread: opening a library takes longer than a test.
    static HARNESS: Rc<Harness> = Rc::new(Harness::open(&LIBRARY));
}

/// The library under test, and a folder.
pub(crate) struct Lab {
    harness: Rc<Harness>,
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            harness: HARNESS.with(Rc::clone),
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn alerts(&self, settings: &Value) -> TestInstance {
        self.create("AlertExporterWebhook", settings)
            .unwrap_or_else(|message| panic!("{message}"))
    }

    pub(crate) fn performance(&self, settings: &Value) -> TestInstance {
        self.create("PerformanceExporterWebhook", settings)
            .unwrap_or_else(|message| panic!("{message}"))
    }

    /// An instance, or the class and message of the outcome.
    pub(crate) fn create(&self, exporter: &str, settings: &Value) -> Result<TestInstance, String> {
        let created = self.harness.create(exporter, settings, self.folder.path());
        created.map_err(|outcome| format!("{:?} {}", outcome.code.class(), outcome.message))
    }

    /// Writes a file into the folder, and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// Sends that many alerts with these settings.
pub(crate) fn send(rows: usize, settings: &Value) -> Outcome {
    export(&mut Lab::new().alerts(settings), rows)
}

/// Sends that many alerts to a URL.
pub(crate) fn send_to(url: &str, rows: usize) -> Outcome {
    send(rows, &json!({ "url": url }))
}

pub(crate) fn export(exporter: &mut TestInstance, rows: usize) -> Outcome {
    exporter.send(&sample::alerts(rows))
}

pub(crate) fn export_within(
    exporter: &mut TestInstance,
    rows: usize,
    call: &CallOptions,
) -> Outcome {
    exporter.send_with(&sample::alerts(rows), call)
}
