//! The shipped dashboards and rules of storages, against Prometheus: each query has data.
//!
//! One host with the fake storage serves a page, which a Prometheus scrapes, and writes to another
//! Prometheus. A second storage, whose series a client sends, is in trouble: it fills, is slow, and has failed
//! parts. So queries about trouble have data as well, and each rule.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_plugin_api::{http::query_value, time::now_ms};
use delfin_tests::{
    CommandOutput, Host, Setup, missing,
    receivers::{Labels, Prometheus, free_port, get_json, read_series},
    wait_for,
};
use serde_json::{Value, json};

const RULES: &str = "etc/prometheus/delfin-storages.rules.yml";
const FAKE: &str = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";
const TROUBLED: &str = "6d2e4b63-8c1f-4e9b-8b46-3a7a2e3c9d21";

/// Rules that cannot have data here, and why.
const RULES_WITHOUT_DATA: [(&str, &str); 3] = [
    (
        "StorageNotCollected",
        "the series of the last six hours would have to end",
    ),
    ("StoragePoolFillsInDays", "needs the data of a day"),
    ("StorageFilesystemFillsInDays", "needs the data of a day"),
];

/// Series of the storage in trouble, with their first and their last value.
const TROUBLE: [(&str, &str, f64, f64); 20] = [
    ("storage", "status", 3.0, 3.0),
    ("storage", "totalCapacity", 1000.0, 1000.0),
    ("storage", "usedCapacity", 940.0, 950.0),
    ("storage", "responseTime", 30.0, 40.0),
    ("storage", "iops", 50.0, 60.0),
    ("storage", "fatalAlerts", 1.0, 1.0),
    ("storage", "criticalAlerts", 0.0, 0.0),
    ("storage", "majorAlerts", 1.0, 2.0),
    ("storagePool", "status", 1.0, 1.0),
    ("storagePool", "totalCapacity", 1000.0, 1000.0),
    ("storagePool", "usedCapacity", 980.0, 985.0),
    ("volume", "totalCapacity", 1000.0, 1000.0),
    ("volume", "usedCapacity", 500.0, 600.0),
    ("volume", "responseTime", 30.0, 40.0),
    ("volume", "iops", 50.0, 60.0),
    ("filesystem", "totalCapacity", 1000.0, 1000.0),
    ("filesystem", "usedCapacity", 920.0, 930.0),
    ("port", "status", 1.0, 1.0),
    ("disk", "status", 2.0, 2.0),
    ("disk", "healthScore", 5.0, 5.0),
];

/// A query, and where it is.
struct BoardQuery {
    place: String,
    query: String,
}

/// A Prometheus that has the data, and how it gets them.
struct Receiver {
    prometheus: Prometheus,
    way: &'static str,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

/// The dashboards by their file names.
fn all_dashboards() -> BTreeMap<String, Value> {
    let files = fs::read_dir(path("etc/grafana")).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let read = files.map(|file| {
        let name = file.file_name().expect("a name").to_string_lossy();
        let board = serde_json::from_str(&read(&file));
        (name.into_owned(), board.expect("JSON"))
    });
    read.collect()
}

/// The dashboards of storages.
fn dashboards() -> BTreeMap<String, Value> {
    let mut boards = all_dashboards();
    boards.retain(|name, _| name.starts_with("delfin-storage"));
    boards
}

fn panels(board: &Value) -> &Vec<Value> {
    board["panels"].as_array().expect("panels")
}

fn expressions(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.map(|target| target["expr"].as_str().expect("a query"))
}

/// The query with every storage and resource chosen.
fn with_variables(query: &str) -> String {
    let mut query = query.to_owned();
    for (variable, value) in [
        ("$site", ".*"),
        ("$storage", ".*"),
        ("$resource", ".*"),
        ("$top", "10"),
        ("$__range", "1h"),
    ] {
        query = query.replace(variable, value);
    }
    assert!(!query.contains('$'), "an unknown variable in {query}");
    query
}

/// The queries of panels and variables.
fn queries(boards: &BTreeMap<String, Value>) -> Vec<BoardQuery> {
    let mut queries = Vec::new();
    for (name, board) in boards {
        let mut add = |place: &str, query: &str| {
            queries.push(BoardQuery {
                place: format!("{name}: {place}"),
                query: with_variables(query),
            });
        };
        for panel in panels(board) {
            let title = panel["title"].as_str().expect("a title");
            expressions(panel).for_each(|query| add(title, query));
        }
        for variable in board["templating"]["list"].as_array().expect("variables") {
            if variable["type"] == "query" {
                let query = variable["query"]["query"].as_str().expect("a query");
                add(
                    variable["name"].as_str().expect("a name"),
                    &of_variable(query),
                );
            }
        }
    }
    queries
}

/// The query that gives a variable its values.
fn of_variable(query: &str) -> String {
    let inside = |function: &str| {
        let rest = query.strip_prefix(function)?;
        rest.strip_prefix('(')?.strip_suffix(')')
    };
    if let Some(query) = inside("query_result") {
        return query.to_owned();
    }
    let inside = inside("label_values").expect("a query of a variable");
    let (series, label) = inside.rsplit_once(", ").expect("series and a label");
    format!("count by ({label}) ({series})")
}

/// The alerts of the rules, with their expressions.
fn rules(prometheus: &Prometheus) -> BTreeMap<String, String> {
    let answer = get_json(&format!("{}/api/v1/rules", prometheus.url())).expect("the rules");
    let rules = answer["data"]["groups"][0]["rules"].as_array().cloned();
    let text = |rule: &Value, key: &str| rule[key].as_str().expect("a text").to_owned();
    let rules = rules.expect("rules").into_iter();
    rules
        .map(|rule| (text(&rule, "name"), text(&rule, "query")))
        .collect()
}

/// Starts Prometheus with the rules, and with what it scrapes.
fn start(setup: &Setup, binary: &str, port: u16, pages: &[(&str, u16)]) -> Option<Prometheus> {
    let scrapes: Vec<_> = pages
        .iter()
        .map(|(job, port)| {
            json!({
                "job_name": job, "scrape_interval": "250ms", "scrape_timeout": "250ms",
                "static_configs": [{"targets": [format!("127.0.0.1:{port}")]}],
            })
        })
        .collect();
    let config = json!({
        "global": {"evaluation_interval": "250ms"},
        "rule_files": [path(RULES)],
        "scrape_configs": scrapes,
    });
    let folder = setup.path(binary);
    fs::create_dir(&folder).expect("make a folder");
    Prometheus::start_binary(binary, &folder, port, &config.to_string())
}

/// Sends the series of the storage in trouble: their first or their last values.
fn send_trouble(host: &Host, is_last: bool) {
    let now = now_ms();
    let series = TROUBLE.map(|(resource_type, name, first, last)| {
        let value = if is_last { last } else { first };
        let id = match resource_type {
            "storage" => TROUBLED.to_owned(),
            other => format!("{other}_1"),
        };
        json!({
            "name": name,
            "labels": {
                "storage_id": TROUBLED, "name": "troubled", "serial_number": "T-1",
                "resource_type": resource_type, "resource_id": id, "resource_name": id,
                "unit": "1", "site": "hk-1",
            },
            "values": {now.to_string(): value},
        })
    });
    let (status, answer) = host.ingest("performance", &json!(series));
    assert_eq!(status, 202, "{answer}");
}

/// The fake storage's series in Prometheus, without what a scrape adds.
fn series_of_fake(prometheus: &Prometheus) -> BTreeSet<Labels> {
    let query = format!("{{storage_id=\"{FAKE}\", resource_type!=\"\", alertname=\"\"}}");
    let found = prometheus.query(&query).unwrap_or_default();
    found.iter().map(|series| read_series(series).0).collect()
}

/// A host with the fake storage, and two Prometheus that have its data: one scrapes them, one gets
/// them by remote write. `None` without Prometheus.
fn with_data(setup: Setup) -> Option<(Setup, Host, [Receiver; 2])> {
    let [page, metrics, scraping, written] = [(); 4].map(|()| free_port());
    let config = format!(
        r#"
performance_exporters = ["PerformanceExporterPrometheus", "PerformanceExporterPrometheusRemoteWrite"]
[exporter.PerformanceExporterPrometheus.config]
metric_server_port = {page}
[exporter.PerformanceExporterPrometheusRemoteWrite.config]
url = "http://127.0.0.1:{written}/api/v1/write"
[metrics]
listen = "127.0.0.1:{metrics}"
[[storage]]
id = "{FAKE}"
vendor = "fake_storage"
model = "fake_driver"
options = {{ storage_pools = 2, volumes = 3, controllers = 2, ports = 2, disks = 2, filesystems = 2 }}
labels = {{ site = "hk-1" }}
performance = {{ interval = "1s" }}
alerts = {{ interval = "1s" }}
"#
    );
    let setup = setup.with_config(&config);
    let host_page = ("delfin-host", metrics);
    let pages = [host_page, ("delfin", page)];
    let scraping = start(&setup, "prometheus", scraping, &pages)?;
    let written = start(&setup, "prometheus-3", written, &[host_page])?;
    let host = setup.start();
    let receivers = [(scraping, "scrape"), (written, "remote write")];
    let receivers = receivers.map(|(prometheus, way)| Receiver { prometheus, way });

    send_trouble(&host, false);
    host.wait_for("the alerts of the storage", || {
        let (_, answer) = host.get(&format!("/v1/alerts/active?storage_id={FAKE}"));
        (answer["alerts"].as_array()?.len() == 4).then_some(())
    });
    // The series of resources, with the alerts, come with the next sync, which waits for the first one.
    host.wait_for("the next sync", || {
        let (status, _) = host.send("POST", &format!("/v1/storages/{FAKE}/sync"), None);
        (status == 202).then_some(())
    });
    for Receiver { prometheus, .. } in &receivers {
        host.wait_for("the first values", || {
            let first = format!("storagePool_usedCapacity{{storage_id=\"{TROUBLED}\"}} == 980");
            let alerts = format!("storage_activeAlerts{{storage_id=\"{FAKE}\"}} == 4");
            let has = |query: &str| {
                prometheus
                    .query(query)
                    .is_some_and(|found| !found.is_empty())
            };
            (has(&first) && has(&alerts)).then_some(())
        });
    }
    send_trouble(&host, true);
    Some((setup, host, receivers))
}

/// What a query selects: its name or names as a matcher, and its labels.
#[derive(Default)]
struct Selected {
    names: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Selected {
    /// As Prometheus reads a query.
    fn by(query: &str, prometheus: &Prometheus) -> Self {
        let url = format!(
            "{}/api/v1/parse_query?query={}",
            prometheus.url(),
            query_value(query)
        );
        let parsed = get_json(&url).unwrap_or_else(|| panic!("Prometheus refuses {query}"));
        let mut selected = Self::default();
        selected.add(&parsed["data"]);
        assert!(!selected.names.is_empty(), "{query} selects nothing");
        selected
    }

    fn add(&mut self, node: &Value) {
        for matcher in node["matchers"].as_array().into_iter().flatten() {
            let text = |key: &str| matcher[key].as_str().expect("a text").to_owned();
            match &*text("name") {
                "__name__" => {
                    let name = format!("__name__{}\"{}\"", text("type"), text("value"));
                    self.names.insert(name);
                }
                label => drop(self.labels.insert(label.to_owned())),
            }
        }
        let matching = &node["matching"];
        for labels in [&node["grouping"], &matching["labels"], &matching["include"]] {
            let labels = labels.as_array().into_iter().flatten();
            self.labels
                .extend(labels.map(|label| label.as_str().expect("a label").to_owned()));
        }
        match node {
            Value::Array(nodes) => nodes.iter().for_each(|node| self.add(node)),
            Value::Object(nodes) => nodes.values().for_each(|node| self.add(node)),
            _ => {}
        }
    }
}

/// The labels that series with a name have, by the matcher of the name.
#[derive(Default)]
struct KnownSeries(BTreeMap<String, BTreeSet<String>>);

impl KnownSeries {
    /// The names and the labels of a query that no series has.
    fn unknown(&mut self, selected: &Selected, prometheus: &Prometheus) -> Vec<String> {
        let mut unknown = Vec::new();
        let mut all = BTreeSet::new();
        for name in &selected.names {
            let known = self.0.entry(name.clone()).or_insert_with(|| {
                let found = prometheus.query(&format!("{{{name}}}")).unwrap_or_default();
                let labels = found
                    .iter()
                    .flat_map(|series| series["metric"].as_object().expect("labels").keys());
                labels.cloned().collect()
            });
            if known.is_empty() {
                unknown.push(name.clone());
            }
            all.extend(known.iter().cloned());
        }
        unknown.extend(selected.labels.difference(&all).cloned());
        unknown
    }
}

#[test]
fn each_query_of_dashboards_and_rules_has_data_when_scraped_and_when_written() {
    let setup = Setup::new(&["prometheus", "prometheus_remote_write"], "");
    let boards = dashboards();
    assert_eq!(boards.len(), 5, "{:?}", boards.keys());
    let Some((_setup, host, receivers)) = with_data(setup) else {
        return;
    };

    let mut queries = queries(&boards);
    assert!(queries.len() > 100, "{}", queries.len());
    let rules = rules(&receivers[0].prometheus);
    for (name, reason) in RULES_WITHOUT_DATA {
        assert!(rules.contains_key(name), "{name}: {reason}");
    }
    let with_data = |name: &str| RULES_WITHOUT_DATA.iter().all(|(other, _)| *other != name);
    let with_data = rules.iter().filter(|(name, _)| with_data(name));
    queries.extend(with_data.map(|(name, query)| BoardQuery {
        place: name.clone(),
        query: query.clone(),
    }));

    for Receiver { prometheus, way } in &receivers {
        for BoardQuery { place, query } in &queries {
            host.wait_for(&format!("data by {way} for {place}: {query}"), || {
                prometheus.query(query).filter(|found| !found.is_empty())
            });
        }
    }

    // Prometheus 2 cannot say how it reads a query.
    let [_, written] = &receivers;
    let of_panels = queries.iter().map(|one| (&one.place, &one.query));
    let every_query = of_panels.chain(&rules);
    let mut known = [KnownSeries::default(), KnownSeries::default()];
    for (place, query) in every_query {
        let selected = Selected::by(query, &written.prometheus);
        for (Receiver { prometheus, way }, known) in receivers.iter().zip(&mut known) {
            let unknown = known.unknown(&selected, prometheus);
            assert!(
                unknown.is_empty(),
                "{place}: no series has {unknown:?} by {way}: {query}"
            );
        }
    }

    // Both ways give the same series, but for `job` and `instance` of the scrape.
    wait_for("the same series in both", || {
        let [scraped, written] = receivers
            .each_ref()
            .map(|one| series_of_fake(&one.prometheus));
        (scraped.len() > 100 && scraped == written).then_some(())
    });
}

#[test]
fn the_columns_of_tables_are_labels_of_their_queries() {
    for (name, board) in dashboards() {
        for panel in panels(&board)
            .iter()
            .filter(|panel| panel["type"] == "table")
        {
            let queries: String = expressions(panel).collect();
            let organize = &panel["transformations"][1]["options"];
            let renamed = organize["renameByName"].as_object().expect("columns");
            for column in renamed.keys().filter(|name| !name.starts_with("Value")) {
                assert!(
                    queries.contains(column.as_str()),
                    "{name}: {}: {column}",
                    panel["title"]
                );
            }
            let overrides = panel["fieldConfig"]["overrides"]
                .as_array()
                .expect("a list");
            for one in overrides {
                let of = &one["matcher"]["options"];
                assert!(
                    renamed.values().any(|shown| shown == of),
                    "{name}: {}: {of}",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn each_panel_says_what_it_shows() {
    for (name, board) in all_dashboards() {
        for panel in panels(&board).iter().filter(|panel| panel["type"] != "row") {
            for key in ["title", "description"] {
                let text = panel[key].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{name}: {panel} has no {key}");
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_that_exist() {
    let boards = dashboards();
    let ids: BTreeSet<_> = boards.values().map(|board| board["uid"].as_str()).collect();
    for (name, board) in &boards {
        assert_eq!(Some(name.trim_end_matches(".json")), board["uid"].as_str());
        let text = board.to_string();
        for link in text.split("\"url\":\"/d/").skip(1) {
            let id = link.split('?').next();
            assert!(ids.contains(&id), "{name}: {link}");
        }
    }
}

#[test]
fn the_files_are_what_the_script_writes() {
    let python = Command::new("python3").arg("--version").output();
    if python.is_err() {
        missing("python3", "install Python 3.9 or newer");
        return;
    }
    let mut script = Command::new("scripts/dashboards");
    let checked = CommandOutput::run(script.arg("--check").current_dir(path("")));
    assert_eq!(checked.expect_exit(0).stderr, "");
}
