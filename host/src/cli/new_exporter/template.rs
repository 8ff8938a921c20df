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

const C_FILES: [(&str, &str); 4] = [
    ("exporter.c", include_str!("c/exporter.c.in")),
    ("Makefile", include_str!("c/Makefile.in")),
    ("README.md", include_str!("c/README.md.in")),
    (".gitignore", "*.so\n"),
];

const GO_FILES: [(&str, &str); 6] = [
    ("exporter.go", include_str!("go/exporter.go.in")),
    ("plugin.c", include_str!("go/plugin.c.in")),
    ("go.mod", include_str!("go/go.mod.in")),
    ("Makefile", include_str!("go/Makefile.in")),
    ("README.md", include_str!("c/README.md.in")),
    (".gitignore", "*.so\n"),
];

const RUST_NEXT_STEPS: &str = include_str!("template/next-steps.in");
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
        let files: &[_] = match self.language {
            Language::Rust => &RUST_FILES,
            Language::Python => &PYTHON_FILES,
            Language::C => &C_FILES,
            Language::Go => &GO_FILES,
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
            Language::C | Language::Go => format!("{}.so", self.folder),
        }
    }

    /// The message after the project was written.
    pub(super) fn next_steps(&self) -> String {
        self.fill(match self.language {
            Language::Rust => RUST_NEXT_STEPS,
            Language::Python => PYTHON_NEXT_STEPS,
            Language::C | Language::Go => C_NEXT_STEPS,
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
        let native = NativeNames::of(self.language, self.kind);
        [
            ("@folder@", self.folder.as_str()),
            ("@package@", &self.package()),
            ("@library@", &self.library()),
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
        ]
        .iter()
        .fold(text.to_owned(), |text, (placeholder, value)| {
            text.replace(placeholder, value)
        })
    }
}

/// What the files of a project in C or Go name; empty for the other languages.
#[derive(Default)]
struct NativeNames {
    /// The type of a batch in C.
    batch: Option<&'static str>,
    open: &'static str,
    count: &'static str,
    method: &'static str,
    row: &'static str,
    language: &'static str,
    source: &'static str,
    manifest: &'static str,
    compiler: &'static str,
    kit: &'static str,
}

impl NativeNames {
    fn of(language: Language, kind: Kind) -> Self {
        let (batch, open, method, row) = match kind {
            Kind::Performance => (
                "delfin_performance",
                "delfin_open_performance",
                "ExportSeries",
                "Series",
            ),
            Kind::Alert => (
                "delfin_alerts",
                "delfin_open_alerts",
                "ExportAlerts",
                "Alert",
            ),
        };
        let names = Self {
            batch: Some(batch),
            open,
            method,
            row,
            ..Self::default()
        };
        match language {
            Language::Rust | Language::Python => Self::default(),
            Language::C => Self {
                count: match kind {
                    Kind::Performance => C_COUNT_POINTS,
                    Kind::Alert => "    long long items = batch.rows;\n",
                },
                language: "C",
                source: "exporter.c",
                manifest: "exporter.c",
                compiler: "a C compiler",
                kit: "delfin/",
                ..names
            },
            Language::Go => Self {
                count: match kind {
                    Kind::Performance => GO_COUNT_POINTS,
                    Kind::Alert => "\titems := len(rows)\n",
                },
                language: "Go",
                source: "exporter.go",
                manifest: "plugin.c",
                compiler: "Go 1.19 or newer and a C compiler",
                kit: "delfin.go` with `*.h",
                ..names
            },
        }
    }
}

const C_COUNT_POINTS: &str = "    long long items = 0;
    for (int64_t row = 0; row < batch.rows; row++)
        items += delfin_series_points(&batch, row).count;
";

const GO_COUNT_POINTS: &str = "\titems := 0
\tfor _, series := range rows {
\t\titems += len(series.Values)
\t}
";
