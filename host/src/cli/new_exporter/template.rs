//! The files of a new crate, with the names filled in.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};

use delfin_plugin_api::Kind;

use super::ExporterName;

const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    (
        "tests/conformance.rs",
        include_str!("template/conformance.rs.in"),
    ),
    ("example.toml", include_str!("template/example.toml.in")),
    ("README.md", include_str!("template/README.md.in")),
    (".gitignore", "/target\n"),
];

const NEXT_STEPS: &str = include_str!("template/next-steps.in");

const USES_PERFORMANCE: &str =
    "Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    serde::Deserialize,";

const USES_ALERTS: &str = "AlertBatch, Context, Exporter, Failure, Host, Outcome, export_plugin, log, serde::Deserialize,";

const LOG_PERFORMANCE: &str = r#"let mut points = 0;
        for series in batch.series() {
            points += series.points().len();
        }
        log::info!("{} {points} points", self.config.greeting);"#;

const LOG_ALERTS: &str = r#"let alerts = batch.alerts().len();
        log::info!("{} {alerts} alerts", self.config.greeting);"#;

/// The names of a new crate, and the kind of its batches.
pub(super) struct Template {
    folder: String,
    type_name: String,
    kind: Kind,
}

impl Template {
    pub(super) fn new(name: &ExporterName, kind: Kind) -> Self {
        Self {
            folder: name.to_string(),
            // The suffix keeps the name from being that of a type in the prelude.
            type_name: format!("{}Exporter", name.camel_case()),
            kind,
        }
    }

    /// The path and the text of each file.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let fill = |(path, text): &(&'static str, &str)| (*path, self.fill(text));
        FILES.iter().map(fill).collect()
    }

    /// The name of the exporter in the configuration.
    pub(super) fn exporter(&self) -> String {
        let camel = self.type_name.trim_end_matches("Exporter");
        match self.kind {
            Kind::Performance => format!("PerformanceExporter{camel}"),
            Kind::Alert => format!("AlertExporter{camel}"),
        }
    }

    /// The name of the library that `cargo build` creates.
    pub(super) fn library(&self) -> String {
        let name = self.package().replace('-', "_");
        format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")
    }

    /// The message after the crate was written.
    pub(super) fn next_steps(&self) -> String {
        self.fill(NEXT_STEPS)
    }

    fn package(&self) -> String {
        format!("delfin-exporter-{}", self.folder)
    }

    fn fill(&self, text: &str) -> String {
        let (uses, batch, log) = match self.kind {
            Kind::Performance => (USES_PERFORMANCE, "PerformanceBatch", LOG_PERFORMANCE),
            Kind::Alert => (USES_ALERTS, "AlertBatch", LOG_ALERTS),
        };
        [
            ("@folder@", self.folder.as_str()),
            ("@package@", &self.package()),
            ("@library@", &self.library()),
            ("@exporter@", &self.exporter()),
            ("@type@", &self.type_name),
            ("@kind@", self.kind.as_str()),
            ("@uses@", uses),
            ("@batch@", batch),
            ("@log@", log),
        ]
        .iter()
        .fold(text.to_owned(), |text, (placeholder, value)| {
            text.replace(placeholder, value)
        })
    }
}
