//! What differs between projects in C and in Go.

use delfin_plugin_api::Kind;

use super::Language;

/// What the files of a project in C or Go name; empty for the other languages.
#[derive(Default)]
pub(super) struct NativeNames {
    /// The type of a batch in C.
    pub(super) batch: Option<&'static str>,
    pub(super) open: &'static str,
    pub(super) count: &'static str,
    pub(super) method: &'static str,
    pub(super) row: &'static str,
    pub(super) language: &'static str,
    pub(super) source: &'static str,
    pub(super) manifest: &'static str,
    pub(super) compiler: &'static str,
    pub(super) kit: &'static str,
}

impl NativeNames {
    pub(super) fn of(language: Language, kind: Kind) -> Self {
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
