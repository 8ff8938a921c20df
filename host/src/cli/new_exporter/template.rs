//! The files of a new project, with the names filled in.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};

use delfin_plugin_api::Kind;

use super::{ExporterName, Language, sdk};

const RUST_FILES: [(&str, &str); 6] = [
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

const PYTHON_FILES: [(&str, &str); 6] = [
    (
        "@folder@.plugin/plugin.toml",
        include_str!("python/plugin.toml.in"),
    ),
    (
        "@folder@.plugin/exporter.py",
        include_str!("python/exporter.py.in"),
    ),
    (
        "@folder@.plugin/example.toml",
        include_str!("template/example.toml.in"),
    ),
    ("tests/test_exporter.py", include_str!("python/test.py.in")),
    ("README.md", include_str!("python/README.md.in")),
    (".gitignore", "__pycache__/\n"),
];

const RUST_NEXT_STEPS: &str = include_str!("template/next-steps.in");
const PYTHON_NEXT_STEPS: &str = include_str!("python/next-steps.in");

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

/// The names of a new project, its language, and the kind of its batches.
pub(super) struct Template {
    folder: String,
    type_name: String,
    kind: Kind,
    language: Language,
}

impl Template {
    pub(super) fn new(name: &ExporterName, kind: Kind, language: Language) -> Self {
        Self {
            folder: name.to_string(),
            // The suffix keeps the name from being that of a type in the prelude.
            type_name: format!("{}Exporter", name.camel_case()),
            kind,
            language,
        }
    }

    /// The path and the text of each file.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let files = match self.language {
            Language::Rust => RUST_FILES,
            Language::Python => PYTHON_FILES,
        };
        let fill = |(path, text): &(&str, &str)| (self.fill(path), self.fill(text));
        files.iter().map(fill).collect()
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// The folder of the kit in the project, and the path and the content of each of its
    /// files.
    pub(super) fn kit(&self) -> (String, &'static [(&'static str, &'static [u8])]) {
        match self.language {
            Language::Rust => ("sdk".to_owned(), sdk::FILES),
            Language::Python => (format!("{}/delfin_plugin", self.library()), sdk::PYTHON),
        }
    }

    /// The name of the exporter in the configuration.
    pub(super) fn exporter(&self) -> String {
        let camel = self.type_name.trim_end_matches("Exporter");
        match self.kind {
            Kind::Performance => format!("PerformanceExporter{camel}"),
            Kind::Alert => format!("AlertExporter{camel}"),
        }
    }

    /// The name of the library that `cargo build` creates, or of the folder of the plugin.
    pub(super) fn library(&self) -> String {
        if self.language == Language::Python {
            return format!("{}.plugin", self.folder);
        }
        let name = self.package().replace('-', "_");
        format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")
    }

    /// The message after the project was written.
    pub(super) fn next_steps(&self) -> String {
        self.fill(match self.language {
            Language::Rust => RUST_NEXT_STEPS,
            Language::Python => PYTHON_NEXT_STEPS,
        })
    }

    fn package(&self) -> String {
        format!("delfin-exporter-{}", self.folder)
    }

    fn fill(&self, text: &str) -> String {
        let (uses, batch, log) = match self.kind {
            Kind::Performance => (USES_PERFORMANCE, "PerformanceBatch", LOG_PERFORMANCE),
            Kind::Alert => (USES_ALERTS, "AlertBatch", LOG_ALERTS),
        };
        let (base, items, sample) = match self.kind {
            Kind::Performance => ("PerformanceExporter", "points", "performance(10, 10)"),
            Kind::Alert => ("AlertExporter", "alerts", "alerts(10)"),
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
            ("@base@", base),
            ("@items@", items),
            ("@sample@", sample),
        ]
        .iter()
        .fold(text.to_owned(), |text, (placeholder, value)| {
            text.replace(placeholder, value)
        })
    }
}
