//! The shipped file, and what the host reads from a configuration.

use std::{collections::BTreeSet, time::Duration};

use delfin_plugin_api::{Kind, http::WrittenClientSettings};
use proptest::prelude::*;
use toml::{Table, Value};

use super::*;

/// The configuration of the source tree, and the reference of all settings.
const SHIPPED: &str = include_str!("../../../etc/delfin/delfin.conf");

fn flag() -> Source {
    Source::Flag("test.conf".into())
}

fn good(text: &str) -> Config {
    parse(text, &flag()).unwrap_or_else(|errors| panic!("{errors}\n\n{text}"))
}

/// The shipped file with every commented setting uncommented, and each setting at
/// the default that the file states.
fn shipped_with_defaults() -> String {
    let line = |line: &str| {
        let setting = |rest: &str| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
        let line = line
            .strip_prefix('#')
            .filter(|rest| setting(rest))
            .unwrap_or(line);
        match (line.split_once(" = "), line.split_once("  # default: ")) {
            (Some((key, _)), Some((_, default))) => format!("{key} = {default}\n"),
            _ => format!("{line}\n"),
        }
    };
    SHIPPED.lines().map(line).collect()
}

/// Every setting's path in a document, and every table's.
fn paths(
    value: &Value,
    prefix: &str,
    leaves: &mut BTreeSet<String>,
    tables: &mut BTreeSet<String>,
) {
    let join = |key: &str| {
        if prefix.is_empty() {
            key.to_owned()
        } else {
            format!("{prefix}.{key}")
        }
    };
    match value {
        Value::Table(table) => {
            tables.insert(prefix.to_owned());
            for (key, value) in table {
                paths(value, &join(key), leaves, tables);
            }
        }
        Value::Array(array) if array.iter().all(Value::is_table) && !array.is_empty() => {
            paths(&array[0], &join("0"), leaves, tables);
        }
        _ => {
            leaves.insert(prefix.to_owned());
        }
    }
}

fn table_at<'t>(document: &'t mut Value, path: &str) -> &'t mut Table {
    let steps = path.split('.').filter(|step| !step.is_empty());
    let found = steps.fold(document, |value, step| match value {
        Value::Array(array) => &mut array[step.parse::<usize>().unwrap()],
        other => other.get_mut(step).unwrap(),
    });
    found.as_table_mut().unwrap()
}

fn text_of(document: &Value) -> String {
    toml::to_string(document).unwrap()
}

/// Settings that have no default: the file shows an example.
const EXAMPLES: [&str; 61] = [
    "alert_exporters",
    "api.cors_origins",
    "api.hosts",
    "api.tls.certificate",
    "api.tls.client_ca",
    "api.tls.key",
    "cluster.address",
    "cluster.ca_certificate",
    "cluster.client_certificate",
    "cluster.client_key",
    "cluster.kafka.bootstrap_servers",
    "cluster.kafka.ca_certificate",
    "cluster.kafka.client_certificate",
    "cluster.kafka.client_key",
    "cluster.kafka.sasl.mechanism",
    "cluster.kafka.sasl.password",
    "cluster.kafka.sasl.username",
    "cluster.member",
    "cluster.password",
    "cluster.postgres",
    "drivers.limits.memory",
    "drivers.limits.open_files",
    "drivers.storage.5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10.limits.memory",
    "drivers.storage.5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10.limits.open_files",
    "exporter.AlertExporterFile.config.path",
    "exporter.AlertExporterFile.resend",
    "exporter.PerformanceExporterFile.config.path",
    "exporter.PerformanceExporterFile.filter.exclude",
    "exporter.PerformanceExporterFile.filter.include",
    "exporter.PerformanceExporterFile.library",
    "exporter.PerformanceExporterFile.limits.memory",
    "exporter.PerformanceExporterFile.limits.open_files",
    "exporter.PerformanceExporterFile.queue.max_age",
    "exporter.PerformanceExporterFile.queue.max_bytes",
    "exporter.PerformanceExporterFile.sha256",
    "inventory.key_file",
    "log.audit_file",
    "log.file",
    "log.levels.AlertExporterExample",
    "log.levels.PerformanceExporterExample",
    "metrics.listen",
    "metrics.otlp.url",
    "performance_exporters",
    "storage.0.host",
    "storage.0.id",
    "storage.0.labels.site",
    "storage.0.model",
    "storage.0.name",
    "storage.0.options.port",
    "storage.0.performance.interval",
    "storage.0.vendor",
    "syslog.listen_tcp",
    "syslog.listen_tls",
    "syslog.listen_udp",
    "syslog.senders",
    "syslog.tls.certificate",
    "syslog.tls.client_ca",
    "syslog.tls.key",
    "traps.listen",
    "traps.mib_dirs",
    "traps.validated_models",
];

#[test]
fn the_configuration_for_production_has_absolute_folders_that_can_be_changed() {
    let config = good(&sample(None, None));
    assert!(config.state_dir.is_absolute() && config.plugin_dirs[0].is_absolute());
    assert_eq!(config.warnings, [""; 0]);
    assert!(
        config
            .exporters
            .iter()
            .all(|exporter| exporter.plugin != "PerformanceExporterExample")
    );
    let config = good(&sample(Some(Path::new("/p \"x")), Some(Path::new("/s"))));
    assert_eq!(config.plugin_dirs, [Path::new("/p \"x")]);
    assert_eq!(config.state_dir, Path::new("/s"));
}

#[test]
fn every_value_in_the_shipped_file_is_the_default_in_code() {
    let text = shipped_with_defaults();
    let document = Value::Table(text.parse().unwrap());
    let whole = good(&text);
    let mut leaves = BTreeSet::new();
    paths(&document, "", &mut leaves, &mut BTreeSet::new());

    // Removing a line that states the default changes nothing.
    let mut differing = Vec::new();
    for path in &leaves {
        let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut without = document.clone();
        table_at(&mut without, table).remove(key).unwrap();
        if parse(&text_of(&without), &flag()).ok().as_ref() != Some(&whole) {
            differing.push(path.as_str());
        }
    }
    assert_eq!(differing, EXAMPLES);
}

#[test]
fn only_these_values_in_the_shipped_file_differ_from_the_default() {
    let lines = SHIPPED
        .lines()
        .filter(|line| line.contains("  # default: "));
    let keys: Vec<&str> = lines
        .map(|line| line.split_once(" = ").unwrap().0)
        .collect();
    assert_eq!(
        keys,
        [
            "plugin_dirs",
            "state_dir",
            "max_bytes",
            "min_free_bytes",
            "mapping_dir",
            "mapping_dir",
            "mapping_dir",
            "mapping_dir",
            "mapping_dir",
            "mapping_dir"
        ]
    );
}

#[test]
fn the_shipped_file_has_every_key_that_the_code_knows() {
    let document = Value::Table(shipped_with_defaults().parse().unwrap());
    let mut tables = BTreeSet::new();
    paths(&document, "", &mut BTreeSet::new(), &mut tables);
    let mut checked = 0;
    for path in tables {
        // The message about an unknown key lists the valid keys.
        let mut with_unknown = document.clone();
        let table = table_at(&mut with_unknown, &path);
        let mut present: BTreeSet<String> = table.keys().cloned().collect();
        table.insert("zzzzzzzz".into(), Value::from("info"));
        let Err(errors) = parse(&text_of(&with_unknown), &flag()) else {
            continue;
        };
        let message = &errors.mistakes()[0].message;
        let Some((_, known)) = message.split_once("valid keys: ") else {
            continue;
        };
        let known: BTreeSet<String> = known
            .split('`')
            .skip(1)
            .step_by(2)
            .map(ToOwned::to_owned)
            .collect();
        // One exporter shows all keys, except the one key for alert exporters.
        if path == "exporter.PerformanceExporterFile" {
            present.insert("resend".to_owned());
        }
        // Those of every HTTP client are in the page of the metrics.
        if path == "metrics.otlp" {
            present.extend(WrittenClientSettings::KEYS.map(ToOwned::to_owned));
        }
        if path != "exporter.AlertExporterFile" {
            assert_eq!(known, present, "in [{path}]");
            checked += 1;
        }
    }
    // The root, cluster, its kafka and the sasl of that, log, api and its tls, metrics and its otlp, memory, journal, alerts, inventory, traps, syslog and its tls, inputs and its webhook, alertmanager, remote_write, otlp and influxdb,
    // collection, shutdown,
    // drivers, its limits, one of its storages and the limits of that one, storage and its two, exporter and its batch, limits,
    // queue, retry, circuit_breaker, dead_letter and filter.
    assert_eq!(checked, 39);
}

#[test]
fn a_mistake_in_settings_of_a_client_has_the_line_of_its_key() {
    let text = "[cluster]\npostgres = \"postgres://delfin@db\"\nleas = \"5s\"\nlease = \"0s\"\n\
                [cluster.kafka]\nbootstrap_servers = \"a:9092\"\nreplicas = 0\nsasl = { mechanism = \"GSSAPI\", username = \"u\", \
                password = \"p\", realm = \"r\" }\n[metrics.otlp]\nproxi = \"http://a\"\n";
    let errors = parse(text, &flag()).unwrap_err();
    let found = errors.mistakes().iter();
    let found: Vec<_> = found
        .map(|mistake| (mistake.line, &*mistake.key, &*mistake.message))
        .collect();
    assert_eq!(
        found,
        [
            (
                Some(3),
                "cluster.leas",
                "unknown key (did you mean `lease`?)"
            ),
            (
                Some(4),
                "cluster.lease",
                "cannot be `\"0s\"` (write a duration from `1s` to `1h`, such as `10s`)"
            ),
            (
                Some(7),
                "cluster.kafka.replicas",
                "cannot be `0` (write a number from 1 to 100)"
            ),
            (
                Some(8),
                "cluster.kafka.sasl.mechanism",
                "cannot be `\"GSSAPI\"` (write `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`)"
            ),
            (
                Some(8),
                "cluster.kafka.sasl.realm",
                "unknown key (valid keys: `mechanism`, `username`, `password`)"
            ),
            (
                Some(9),
                "metrics.otlp",
                "`url` is missing (write the address of the receiver, such as `http://localhost:4318`)"
            ),
            (
                Some(10),
                "metrics.otlp.proxi",
                "unknown key (did you mean `proxy`?)"
            ),
        ]
    );
}

#[test]
fn the_shipped_file_collects_from_this_machine_into_files() {
    let config = good(SHIPPED);
    assert_eq!(config.warnings, [""; 0]);
    let names: Vec<(&str, Kind)> = config
        .exporters
        .iter()
        .map(|exporter| (exporter.name.as_str(), exporter.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("PerformanceExporterFile", Kind::Performance),
            ("PerformanceExporterExample", Kind::Performance),
            ("AlertExporterFile", Kind::Alert),
            ("AlertExporterExample", Kind::Alert),
        ]
    );
    assert_eq!(
        config.exporters[0].config["path"],
        "target/state/performance.jsonl"
    );
    assert_eq!(
        config.plugin_cache_dir,
        Path::new("target/state/plugin-cache")
    );
    assert_eq!(config.storages[0].vendor, "linux");
    let interval = config.storages[0].performance_interval;
    assert_eq!(interval, Some(Duration::from_secs(10)));
}

#[test]
fn a_storage_has_its_own_limits_and_the_common_ones_for_the_rest() {
    let id = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";
    let config = good(&format!(
        "[drivers.limits]\nmemory = \"16MiB\"\nopen_files = 99\n\
         [drivers.storage.{id}.limits]\nmemory = \"2GiB\"\n"
    ));
    let limits = |id| config.driver_limits.of(id);
    let common = ProcessLimits {
        memory: Some(16 << 20),
        open_files: Some(99),
    };
    assert_eq!(limits("0198b5a0-0000-7000-8000-000000000000"), common);
    let memory = Some(2 << 30);
    assert_eq!(limits(id), ProcessLimits { memory, ..common });
}

#[test]
fn an_empty_file_is_a_configuration_without_exporters() {
    let config = good("");
    assert!(config.exporters.is_empty());
    assert_eq!(config.state_dir, Path::new("/var/lib/delfin-host"));
    assert_eq!(config.journal, JournalConfig::default());
    let socket = SocketConfig {
        path: config.state_dir.join("api.sock"),
        mode: 0o600,
    };
    let api = ApiConfig {
        socket: Some(socket),
        ..ApiConfig::default()
    };
    assert_eq!(config.api, api);
}

#[test]
fn a_list_is_an_array_or_delfins_comma_separated_string() {
    let check = |list: &str, names: &[&str]| {
        let config = good(&format!("performance_exporters = {list}"));
        let found: Vec<&str> = config.exporters.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(found, names);
    };
    check(r#"["A", "B"]"#, &["A", "B"]);
    check(r#""A,B""#, &["A", "B"]);
    check(r#"" B , A ""#, &["B", "A"]);
    check(r#""""#, &[]);
    check("[]", &[]);
}

#[test]
fn a_table_gives_a_name_another_plugin_and_settings() {
    let config = good(
        r#"
        performance_exporters = ["kafka-dr", "kafka"]
        [exporter.kafka-dr]
        plugin = "PerformanceExporterKafka"
        timeout = "1m"
        start_from = "earliest"
        retry.multiplier = 3
        [exporter.kafka-dr.config]
        topic = "delfin"
        since = 2026-01-02
        limits = { rows = 5, ratio = 0.5, hex = 0xff, on = true }
        "#,
    );
    let [dr, plain] = config.exporters.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(dr.plugin, "PerformanceExporterKafka");
    assert_eq!(
        (dr.timeout.as_secs(), dr.start_from),
        (60, crate::journal::StartFrom::Earliest)
    );
    assert_eq!(
        dr.retry,
        RetryConfig {
            multiplier: 3.0,
            ..RetryConfig::default()
        }
    );
    assert_eq!(
        serde_json::Value::from(dr.config.clone()),
        serde_json::json!({
            "topic": "delfin", "since": "2026-01-02",
            "limits": {"rows": 5, "ratio": 0.5, "hex": 255, "on": true},
        })
    );
    assert_eq!(
        (plain.plugin.as_str(), plain.timeout.as_secs()),
        ("kafka", 10)
    );
    assert!(plain.config.is_empty());
}

#[test]
fn active_alerts_are_resent_as_the_plugin_declares_or_as_the_configuration_says() {
    let check = |resend: &str, interval: Option<u64>| {
        let text = format!("alert_exporters = ['a']\n[exporter.a]\n{resend}");
        let declared = Some(Duration::from_secs(60));
        let found = good(&text).exporters[0].resend.or_declared(declared);
        assert_eq!(found, interval.map(Duration::from_secs), "{resend}");
    };
    check("", Some(60));
    check("resend = '5m'", Some(300));
    check("resend = 'off'", None);
}

#[test]
fn only_alerts_are_resent_and_at_most_every_second() {
    let check = |list: &str, resend: &str, message: &str| {
        let text = format!("{list} = ['a']\n[exporter.a]\nresend = {resend}");
        let errors = parse(&text, &flag()).unwrap_err();
        assert_eq!(errors.mistakes()[0].message, message);
    };
    let performance = "applies to alert exporters only (remove the key)";
    check("performance_exporters", "'60s'", performance);
    let often = "`10ms` is too short (write at least `1s`)";
    check("alert_exporters", "'10ms'", often);
    let word = "`never` is not a duration (write `10s`, `250ms` or `1h30m`)";
    check("alert_exporters", "'never'", word);
}

#[test]
fn a_storage_is_named_after_its_name_or_its_host_or_this_machine() {
    let config = good(
        r#"
        storage = [
            { vendor = "a", model = "b", name = "n", host = "192.0.2.1" },
            { vendor = "a", model = "b", host = "192.0.2.2" },
            { vendor = "a", model = "b" },
            { vendor = "a", model = "b", id = "5C1D3A52-7B0E-4D8A-9A35-2F6F1D2B8C10" },
        ]
        "#,
    );
    let names: Vec<&str> = config
        .storages
        .iter()
        .map(|storage| storage.name.as_str())
        .collect();
    assert_eq!(names[..2], ["n", "192.0.2.2"]);
    assert!(!names[2].is_empty());
    let ids: BTreeSet<_> = config.storages.iter().map(|storage| storage.id).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(
        config.storages[3].id.to_string(),
        "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10"
    );
}

#[test]
fn a_secret_reaches_the_plugin_and_is_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "hunter2!\n").unwrap();
    let secret = format!("${{file:{}}}", path.display());
    let config = good(&format!(
        r#"
        alert_exporters = ["a"]
        [exporter.a.config]
        password = "{secret}"
        [[storage]]
        vendor = "v"
        model = "m"
        options = {{ password = "{secret}" }}
        "#
    ));
    assert_eq!(config.exporters[0].config["password"], "hunter2!");
    assert_eq!(config.storages[0].options["password"], "hunter2!");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(
        config.redactor.redact("login failed: hunter2!"),
        format!("login failed: {secret}")
    );
}

#[test]
fn no_message_shows_the_value_of_a_placeholder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hunter2!").unwrap();
    let keys = [
        "performance_exporters = SECRET\nalert_exporters = SECRET",
        "performance_exporters = [SECRET]",
        "plugin_dirs = [SECRET, SECRET]",
        "log.level = SECRET",
        "log.format = SECRET",
        "log.levels.x = SECRET",
        "api.listen = SECRET",
        "api.allow_unauthenticated = SECRET",
        "api.max_body_bytes = SECRET",
        "api.max_rows = SECRET",
        "journal.max_age = SECRET",
        "state_dir = [SECRET]",
        "unknown = SECRET",
        "storage = SECRET",
        "[[storage]]\nid = SECRET\nvendor = SECRET\nmodel = SECRET",
        "[exporter.x]\nisolation = SECRET\nstart_from = SECRET\nconfig = SECRET\nretry = SECRET",
    ];
    for key in keys {
        let text = key.replace("SECRET", &format!("\"${{file:{}}}\"", path.display()));
        let errors = parse(&text, &flag()).unwrap_err();
        assert!(
            !format!("{errors} {errors:?}").contains("hunter2"),
            "{errors}"
        );
    }
}

#[test]
fn no_warning_suggests_the_value_of_a_placeholder() {
    let config = good(
        "performance_exporters = '${env:CARGO_PKG_NAME}'\n[exporter.delfin-hots]\ntimeout = '1s'",
    );
    assert_eq!(config.exporters[0].name, "delfin-host");
    assert!(
        !config.warnings[0].contains("delfin-host"),
        "{:?}",
        config.warnings
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(delfin_tests::soak(256)))]

    #[test]
    fn a_damaged_file_gives_mistakes_or_a_configuration_but_never_a_panic(
        at in 0..SHIPPED.len(), length in 0..40_usize, put in "[\\PC\n\"\\[\\]=#${}]{0,6}",
    ) {
        let text = shipped_with_defaults();
        let at = text.floor_char_boundary(at.min(text.len()));
        let end = text.ceil_char_boundary((at + length).min(text.len()));
        let damaged = format!("{}{put}{}", &text[..at], &text[end..]);
        if let Err(errors) = parse(&damaged, &flag()) {
            prop_assert!(!errors.mistakes().is_empty());
        }
    }
}

#[test]
fn files_of_the_folder_are_part_of_the_configuration_and_a_conflict_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    write(
        "main.conf",
        "performance_exporters = [\"A\"]\n[log]\nlevel = \"info\"\n",
    );
    let storage = "[[storage]]\nvendor = \"v\"\nmodel = \"m\"\nname = \"n\"\n";
    write(
        "conf.d/10.toml",
        &format!("performance_exporters = [\"B\"]\n{storage}[exporter.A]\ntimeout = \"7s\"\n"),
    );
    let main = folder.path().join("main.conf");
    let loaded = load(Some(&main)).unwrap();
    let names: Vec<_> = loaded
        .config
        .exporters
        .iter()
        .map(|one| &*one.name)
        .collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(loaded.config.storages.len(), 1);
    assert_eq!(loaded.settings["storage"][0]["name"], "n");

    write("conf.d/20.toml", "# again\n[log]\nlevel = \"warn\"\n");
    write("conf.d/30.toml", storage);
    let error = load(Some(&main)).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    let place = |file: &str| folder.path().join(file).display().to_string();
    let conflict = format!(
        "{}:3: log.level: is set in `{}:3` too (remove one of them)",
        place("conf.d/20.toml"),
        place("main.conf")
    );
    assert_eq!(lines[0], conflict);
    assert!(lines[1].starts_with(&place("conf.d/30.toml")), "{error}");
    assert!(
        lines[1].contains("is the same as the id of `storage[0]`"),
        "{error}"
    );
}
