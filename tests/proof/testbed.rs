//! A host's folder, its exporters and the rows that their receivers got.

use delfin_plugin_api::Kind;
use delfin_tests::{Host, Receiver, Row, Setup};
use serde_json::Value;

/// Settings of every exporter: short backoff, and calls small enough for a busy machine.
const COMMON: &str = r#"
timeout = "1s"
batch.max_points = 4000
retry.initial_interval = "10ms"
retry.max_interval = "20ms"
retry.max_retry_after = "200ms"
"#;

/// Where the exporters run.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Process,
    Thread,
}

#[derive(Default)]
pub(crate) struct TestbedBuilder {
    mode: Mode,
    exporters: Vec<Exporter>,
    tables: String,
}

#[derive(Clone)]
pub(crate) struct Exporter {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    rows: RowSource,
}

#[derive(Clone)]
enum RowSource {
    Receiver(Receiver),
    /// A file of JSON lines.
    Json(String),
    /// A file of `STORAGE_ID NAME ITEMS`.
    Lines(String),
}

pub(crate) struct Testbed {
    pub(crate) setup: Setup,
    pub(crate) exporters: Vec<Exporter>,
}

impl Mode {
    /// As in a configuration.
    pub(crate) fn isolation(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
        }
    }
}

impl TestbedBuilder {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }

    /// A webhook exporter with a receiver of its own. `more` are settings of its table.
    pub(crate) fn hook(self, name: &str, kind: Kind, more: &str) -> Self {
        let receiver = Receiver::start();
        let plugin = match kind {
            Kind::Performance => "PerformanceExporterWebhook",
            Kind::Alert => "AlertExporterWebhook",
        };
        let config = format!("url = \"{}\"", receiver.url());
        self.exporter(
            Exporter::new(name, kind, RowSource::Receiver(receiver)),
            plugin,
            more,
            &config,
        )
    }

    /// The file exporter.
    pub(crate) fn file(self, name: &str, kind: Kind) -> Self {
        let plugin = match kind {
            Kind::Performance => "PerformanceExporterFile",
            Kind::Alert => "AlertExporterFile",
        };
        let file = format!("{name}.jsonl");
        let config = format!("path = \"@/{file}\"");
        self.exporter(
            Exporter::new(name, kind, RowSource::Json(file)),
            plugin,
            "",
            &config,
        )
    }

    /// A scripted performance exporter; its script has the same name.
    pub(crate) fn scripted(self, name: &str, plugin: &str, more: &str) -> Self {
        let file = format!("{name}.rows");
        let config =
            format!("script = \"@/{name}\"\nreceived = \"@/{name}.calls\"\nrows = \"@/{file}\"");
        let kind = Kind::Performance;
        self.exporter(
            Exporter::new(name, kind, RowSource::Lines(file)),
            plugin,
            more,
            &config,
        )
    }

    pub(crate) fn build(self) -> Testbed {
        self.build_in("state", "")
    }

    /// With this state folder, and these settings of the journal.
    pub(crate) fn build_in(self, state: &str, journal: &str) -> Testbed {
        let names = |kind| -> String {
            let of_kind = self
                .exporters
                .iter()
                .filter(|exporter| exporter.kind == kind);
            let names: Vec<&str> = of_kind.map(|exporter| &*exporter.name).collect();
            names.join(",")
        };
        let config = format!(
            r#"
performance_exporters = "{}"
alert_exporters = "{}"
plugin_dirs = ["@/plugins"]
plugin_cache_dir = "@/cache"
state_dir = "@/{state}"
[api]
listen = "127.0.0.1:0"
[shutdown]
drain_timeout = "1s"
[journal]
min_free_bytes = 0
{journal}
{}"#,
            names(Kind::Performance),
            names(Kind::Alert),
            self.tables
        );
        Testbed {
            setup: Setup::new(&["file", "scripted", "webhook"], "").with_whole_config(&config),
            exporters: self.exporters,
        }
    }

    fn exporter(mut self, exporter: Exporter, plugin: &str, more: &str, config: &str) -> Self {
        // A setting in `more` replaces the common one.
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let others: Vec<String> = more.lines().map(key).collect();
        let isolation = format!("isolation = \"{}\"", self.mode.isolation());
        let common = COMMON.lines().chain([&*isolation]);
        let common = common.filter(|line| !others.contains(&key(line)));
        let common: Vec<&str> = common.collect();
        let (name, common) = (&exporter.name, common.join("\n"));
        self.tables += &format!(
            "[exporter.{name}]\nplugin = \"{plugin}\"\n{common}\n{more}\n[exporter.{name}.config]\n{config}\n"
        );
        self.exporters.push(exporter);
        self
    }
}

impl Testbed {
    pub(crate) fn exporter(&self, name: &str) -> &Exporter {
        let mut exporters = self.exporters.iter();
        let found = exporters.find(|exporter| exporter.name == name);
        found.expect("an exporter of that name")
    }

    pub(crate) fn receiver(&self, name: &str) -> &Receiver {
        match &self.exporter(name).rows {
            RowSource::Receiver(receiver) => receiver,
            RowSource::Json(_) | RowSource::Lines(_) => panic!("`{name}` has no receiver"),
        }
    }

    /// The receivers of all webhook exporters.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = &Receiver> {
        self.exporters.iter().filter_map(Exporter::receiver)
    }

    /// Sets the behavior of a scripted exporter.
    pub(crate) fn script(&self, name: &str, word: &str) {
        self.setup.write(name, word);
    }

    /// The rows that the receiver of an exporter got, in order.
    pub(crate) fn arrived(&self, exporter: &Exporter) -> Vec<Row> {
        match &exporter.rows {
            RowSource::Receiver(receiver) => receiver.rows(),
            RowSource::Json(file) => {
                let rows = self.setup.lines(file).into_iter().map(|line| {
                    let row: Value = serde_json::from_str(&line)
                        .unwrap_or_else(|error| panic!("{error}: {line}"));
                    Row::from_json(&row)
                });
                rows.collect()
            }
            RowSource::Lines(file) => {
                let lines = self.setup.lines(file).into_iter();
                let row = |line: String| {
                    Row::from_line(&line).unwrap_or_else(|| panic!("{file}: `{line}`"))
                };
                lines.map(row).collect()
            }
        }
    }

    /// Waits until nothing is pending for these exporters.
    pub(crate) fn wait_until_idle<'a>(
        &self,
        host: &Host,
        exporters: impl IntoIterator<Item = &'a Exporter>,
    ) {
        for exporter in exporters {
            host.wait_for_exporter(&exporter.name, "nothing pending", |view| {
                view["pending"] == 0
            });
        }
    }
}

impl Exporter {
    fn new(name: &str, kind: Kind, rows: RowSource) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            rows,
        }
    }

    /// The receiver of a webhook exporter.
    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        match &self.rows {
            RowSource::Receiver(receiver) => Some(receiver),
            RowSource::Json(_) | RowSource::Lines(_) => None,
        }
    }
}
