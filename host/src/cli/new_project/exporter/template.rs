//! The files of a new project, with the names filled in.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};

use delfin_plugin_api::Kind;

use super::{
    super::{
        name::ProjectName,
        project::{KitFiles, Project, TemplateFiles, fill},
        sdk,
    },
    Language,
    native::NativeNames,
};
use crate::platform::COPY_LIBRARY;

const RUST_FILES: TemplateFiles = &[
    ("Cargo.toml", include_str!("rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("rust/lib.rs.in")),
    (
        "tests/conformance.rs",
        include_str!("rust/conformance.rs.in"),
    ),
    ("example.toml", include_str!("rust/example.toml.in")),
    ("README.md", include_str!("rust/README.md.in")),
    (".gitignore", "/target\n"),
];

const PYTHON_FILES: TemplateFiles = &[
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
        include_str!("rust/example.toml.in"),
    ),
    ("tests/test_exporter.py", include_str!("python/test.py.in")),
    ("README.md", include_str!("python/README.md.in")),
    (".gitignore", "__pycache__/\n"),
];

const C_FILES: TemplateFiles = &[
    ("exporter.c", include_str!("c/exporter.c.in")),
    ("Makefile", include_str!("c/Makefile.in")),
    ("README.md", include_str!("c/README.md.in")),
    (".gitignore", "/@library@\n"),
];

const GO_FILES: TemplateFiles = &[
    ("exporter.go", include_str!("go/exporter.go.in")),
    ("plugin.c", include_str!("go/plugin.c.in")),
    ("go.mod", include_str!("go/go.mod.in")),
    ("Makefile", include_str!("go/Makefile.in")),
    ("README.md", include_str!("c/README.md.in")),
    (".gitignore", "/@library@\n"),
];

const RUST_NEXT_STEPS: &str = include_str!("rust/next-steps.in");
const PYTHON_NEXT_STEPS: &str = include_str!("python/next-steps.in");
const C_NEXT_STEPS: &str = include_str!("c/next-steps.in");

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
pub(super) struct ProjectTemplate {
    folder: String,
    type_name: String,
    kind: Kind,
    language: Language,
}

impl ProjectTemplate {
    pub(super) fn new(name: &ProjectName, kind: Kind, language: Language) -> Self {
        Self {
            folder: name.to_string(),
            // The suffix keeps the name from being that of a type in the prelude.
            type_name: format!("{}Exporter", name.camel_case()),
            kind,
            language,
        }
    }

    pub(super) fn project(&self) -> Project {
        let (files, next_steps) = match self.language {
            Language::Rust => (RUST_FILES, RUST_NEXT_STEPS),
            Language::Python => (PYTHON_FILES, PYTHON_NEXT_STEPS),
            Language::C => (C_FILES, C_NEXT_STEPS),
            Language::Go => (GO_FILES, C_NEXT_STEPS),
        };
        Project::new(files, self.kit(), next_steps, |text| self.fill(text))
    }

    /// The folder of the kit in the project, and its files.
    fn kit(&self) -> (String, KitFiles) {
        match self.language {
            Language::Rust => ("sdk".to_owned(), sdk::FILES),
            Language::Python => (format!("{}/delfin_plugin", self.library()), sdk::PYTHON),
            Language::C => ("delfin".to_owned(), sdk::C),
            Language::Go => (".".to_owned(), sdk::GO),
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

    /// The name of the library that the build creates, or of the folder of the plugin.
    pub(super) fn library(&self) -> String {
        match self.language {
            Language::Rust => {
                let name = self.package().replace('-', "_");
                format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")
            }
            Language::Python => format!("{}.plugin", self.folder),
            Language::C | Language::Go => format!("{}{DLL_SUFFIX}", self.folder),
        }
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
        let native = NativeNames::of(self.language, self.kind);
        let values = [
            ("@folder@", self.folder.as_str()),
            ("@package@", &self.package()),
            ("@library@", &self.library()),
            ("@copy@", COPY_LIBRARY),
            ("@exporter@", &self.exporter()),
            ("@type@", &self.type_name),
            ("@kind@", self.kind.as_str()),
            ("@uses@", uses),
            ("@batch@", native.batch.unwrap_or(batch)),
            ("@log@", log),
            ("@base@", base),
            ("@items@", items),
            ("@sample@", sample),
            ("@open@", native.open),
            ("@count@", native.count),
            ("@method@", native.method),
            ("@row@", native.row),
            ("@language@", native.language),
            ("@source@", native.source),
            ("@manifest@", native.manifest),
            ("@compiler@", native.compiler),
            ("@kit@", native.kit),
        ];
        fill(text, &values)
    }
}
