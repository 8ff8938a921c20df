//! A host's folder, its exporters, and where their rows can be found.

use delfin_plugin_api::Kind;
use delfin_tests::{Host, Receiver, Row, Setup};
use serde_json::Value;

/// How every exporter is configured: quick to try again, in calls of a size that
/// a busy machine can handle in time.
const COMMON: &str = r#"
timeout = "1s"
batch.max_points = 4000
retry.initial_interval = "10ms"
retry.max_interval = "20ms"
retry.max_retry_after = "200ms"
"#;

/// What is to be tried.
#[derive(Default)]
pub(crate) struct Plan {
    exporters: Vec<Exporter>,
    tables: String,
}

/// One exporter that is tried.
#[derive(Clone)]
pub(crate) struct Exporter {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    place: Place,
}

/// Where its rows are.
#[derive(Clone)]
enum Place {
    Receiver(Receiver),
    /// A file of JSON lines.
    Json(String),
    /// A file of `STORAGE_ID NAME ITEMS`.
    Lines(String),
}

/// See the module.
pub(crate) struct Stage {
    pub(crate) setup: Setup,
    pub(crate) exporters: Vec<Exporter>,
}

impl Plan {
    /// A webhook exporter with a receiver of its own, which begins well. `more`
    /// are settings of its table.
    pub(crate) fn hook(self, name: &str, kind: Kind, more: &str) -> Self {
        let receiver = Receiver::start();
        let plugin = match kind {
            Kind::Performance => "PerformanceExporterWebhook",
            Kind::Alert => "AlertExporterWebhook",
        };
        let config = format!("url = \"{}\"", receiver.url());
        self.exporter(
            Exporter::new(name, kind, Place::Receiver(receiver)),
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
            Exporter::new(name, kind, Place::Json(file)),
            plugin,
            "",
            &config,
        )
    }

    /// A scripted exporter of performance; its script is named as it is.
    pub(crate) fn scripted(self, name: &str, plugin: &str, more: &str) -> Self {
        let file = format!("{name}.rows");
        let config =
            format!("script = \"@/{name}\"\nreceived = \"@/{name}.calls\"\nrows = \"@/{file}\"");
        let kind = Kind::Performance;
        self.exporter(
            Exporter::new(name, kind, Place::Lines(file)),
            plugin,
            more,
            &config,
        )
    }

    pub(crate) fn build(self) -> Stage {
        self.build_in("state", "")
    }

    /// With the state in a folder, and settings of the journal.
    pub(crate) fn build_in(self, state: &str, journal: &str) -> Stage {
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
        Stage {
            setup: Setup::new(&["file", "scripted", "webhook"], "").with_whole_config(&config),
            exporters: self.exporters,
        }
    }

    fn exporter(mut self, exporter: Exporter, plugin: &str, more: &str, config: &str) -> Self {
        // What comes later takes the place of what is common.
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let others: Vec<String> = more.lines().map(key).collect();
        let common = COMMON.lines().filter(|line| !others.contains(&key(line)));
        let common: Vec<&str> = common.collect();
        let (name, common) = (&exporter.name, common.join("\n"));
        self.tables += &format!(
            "[exporter.{name}]\nplugin = \"{plugin}\"\n{common}\n{more}\n[exporter.{name}.config]\n{config}\n"
        );
        self.exporters.push(exporter);
        self
    }
}

impl Stage {
    /// The exporter of that name.
    pub(crate) fn exporter(&self, name: &str) -> &Exporter {
        let mut exporters = self.exporters.iter();
        let found = exporters.find(|exporter| exporter.name == name);
        found.expect("an exporter of that name")
    }

    /// The receiver of a webhook exporter.
    pub(crate) fn receiver(&self, name: &str) -> &Receiver {
        match &self.exporter(name).place {
            Place::Receiver(receiver) => receiver,
            Place::Json(_) | Place::Lines(_) => panic!("`{name}` has no receiver"),
        }
    }

    /// The receivers of all webhook exporters.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = &Receiver> {
        self.exporters.iter().filter_map(Exporter::receiver)
    }

    /// What a scripted exporter does from now on.
    pub(crate) fn script(&self, name: &str, word: &str) {
        self.setup.write(name, word);
    }

    /// The rows that arrived at an exporter's receiver, in order.
    pub(crate) fn arrived(&self, exporter: &Exporter) -> Vec<Row> {
        match &exporter.place {
            Place::Receiver(receiver) => receiver.rows(),
            Place::Json(file) => {
                let rows = self.setup.lines(file).into_iter().map(|line| {
                    let row: Value = serde_json::from_str(&line)
                        .unwrap_or_else(|error| panic!("{error}: {line}"));
                    Row::of_json(&row)
                });
                rows.collect()
            }
            Place::Lines(file) => {
                let lines = self.setup.lines(file).into_iter();
                let row = |line: String| {
                    Row::of_line(&line).unwrap_or_else(|| panic!("{file}: `{line}`"))
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
    fn new(name: &str, kind: Kind, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            place,
        }
    }

    /// The receiver, if it is a webhook exporter's.
    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        match &self.place {
            Place::Receiver(receiver) => Some(receiver),
            Place::Json(_) | Place::Lines(_) => None,
        }
    }
}
