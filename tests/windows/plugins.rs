//! All plugins, and those whose receivers are small: they deliver to real ones, each in a process.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
};

use delfin_tests::{
    FILES, Setup, one_series,
    receivers::{
        Alertmanager, Mosquitto, Nats, OtlpCollector, Postgres, Redis, Rsyslog, SmtpServer,
        Snmptrapd, VictoriaMetrics, free_port,
    },
    root, wait_for,
};
use serde_json::{Value, json};

/// A setup with all plugins that are libraries, and their names with `_` for `-`.
fn all_plugins() -> (Setup, Vec<String>) {
    let folders = fs::read_dir(root().join("plugins")).expect("the plugins");
    let folders = folders.flatten().map(|entry| entry.path());
    let libraries = folders.filter(|folder| folder.join("Cargo.toml").exists());
    // Kafka's library needs OpenSSL, which Debian does not have for MinGW.
    let libraries = libraries.filter(|folder| !folder.ends_with("kafka"));
    let names: Vec<String> = libraries
        .filter_map(|folder| Some(folder.file_name()?.to_str()?.replace('-', "_")))
        .collect();
    let setup = Setup::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), "");
    (setup, names)
}

#[test]
fn all_plugins_are_loaded_and_no_library_is_missing() {
    let (setup, names) = all_plugins();
    let list = setup.run(&["plugins", "list"]).expect_exit(0);
    let count = format!("in {} plugins\n", names.len());
    assert!(list.stdout.ends_with(&count), "{list:?}");
    for name in names {
        let library = format!("plugins/delfin_exporter_{name}.dll");
        let inspected = setup.run(&["plugins", "inspect", "--json", &library]);
        let image = &inspected.expect_exit(0).json()["image"];
        assert_eq!(image["missing"], json!([]), "{name}");
    }
}

/// Exporters of one kind after the other, with the ports and URLs of their receivers in capitals.
const CONFIG: &str = r#"
performance_exporters = [
    "PerformanceExporterDelfinHost", "PerformanceExporterInfluxDB", "PerformanceExporterMqtt",
    "PerformanceExporterNats", "PerformanceExporterOtlp", "PerformanceExporterParquet",
    "PerformanceExporterPostgres", "PerformanceExporterPrometheusRemoteWrite", "PerformanceExporterRedis",
]
alert_exporters = [
    "AlertExporterDelfinHost", "AlertExporterEmail", "AlertExporterOtlp", "AlertExporterPrometheus",
    "AlertExporterSnmp", "AlertExporterSyslog",
]
[exporter]
PerformanceExporterDelfinHost.config = { url = "NEXT_HOST" }
PerformanceExporterInfluxDB.config = { url = "METRICS", database = "delfin" }
PerformanceExporterMqtt.config = { address = "127.0.0.1:MQTT", tls = false, topic = "points" }
PerformanceExporterNats.config = { servers = "127.0.0.1:NATS", tls = false, subject = "points" }
PerformanceExporterOtlp.config = { url = "GRPC", protocol = "grpc" }
PerformanceExporterParquet.config = { folder = "@/parquet" }
PerformanceExporterPostgres.config = { address = "127.0.0.1:POSTGRES", tls = false, username = "postgres", database = "postgres" }
PerformanceExporterPrometheusRemoteWrite.config = { url = "METRICS/api/v1/write" }
PerformanceExporterRedis.config = { address = "127.0.0.1:REDIS", tls = false, stream = "points" }
AlertExporterDelfinHost.config = { url = "NEXT_HOST" }
AlertExporterEmail.config = { address = "127.0.0.1:SMTP", tls = "off", from = "a\u0040example.com", to = "b\u0040example.com" }
AlertExporterOtlp.config = { url = "OTLP" }
AlertExporterPrometheus.config = { alert_manager_host = "127.0.0.1", alert_manager_port = ALERTMANAGER }
AlertExporterSnmp.config = { address = "127.0.0.1:SNMP", version = "2c", community = "secret" }
AlertExporterSyslog.config = { address = "127.0.0.1:SYSLOG", transport = "tcp" }
"#;

/// Real receivers, as long as they are not dropped.
struct Receivers {
    metrics: VictoriaMetrics,
    alertmanager: (u16, Alertmanager),
    otlp: OtlpCollector,
    rsyslog: Rsyslog,
    smtp: SmtpServer,
    snmptrapd: Snmptrapd,
    redis: Redis,
    mosquitto: Mosquitto,
    nats: Nats,
    postgres: Postgres,
}

impl Receivers {
    /// `None` where one is missing.
    fn start(setup: &Setup) -> Option<Self> {
        let folder = |name: &str| -> PathBuf {
            let folder = setup.path(name);
            fs::create_dir(&folder).expect("a folder");
            folder
        };
        let port = free_port();
        Some(Self {
            metrics: VictoriaMetrics::start(&folder("metrics"))?,
            alertmanager: (port, Alertmanager::start(&folder("alertmanager"), port)?),
            otlp: OtlpCollector::start(&folder("otlp"))?,
            rsyslog: Rsyslog::start(&folder("rsyslog"), None)?,
            smtp: SmtpServer::start(&folder("smtp"), &[])?,
            snmptrapd: Snmptrapd::start(&folder("snmptrapd"), "authCommunity log secret\n")?,
            redis: Redis::start(&folder("redis"), "")?,
            mosquitto: Mosquitto::start(&folder("mosquitto"), "allow_anonymous true")?,
            nats: Nats::start(&folder("nats"), "")?,
            postgres: Postgres::start(&folder("postgres"), None)?,
        })
    }

    /// The configuration of the exporters. Two forward to another host.
    fn config(&self, next_host: &str) -> String {
        let mut config = CONFIG.to_owned();
        for (name, port) in [
            (":MQTT", self.mosquitto.port()),
            (":NATS", self.nats.port()),
            (":POSTGRES", self.postgres.port()),
            (":REDIS", self.redis.port()),
            (":SMTP", self.smtp.port()),
            (":SNMP", self.snmptrapd.port()),
            (":SYSLOG", self.rsyslog.ports().tcp),
        ] {
            config = config.replace(name, &format!(":{port}"));
        }
        config
            .replace("ALERTMANAGER", &self.alertmanager.0.to_string())
            .replace("METRICS", &self.metrics.url())
            .replace("OTLP", &self.otlp.url())
            .replace("GRPC", &self.otlp.grpc_url())
            .replace("NEXT_HOST", next_host)
    }
}

/// Creates a stream for the subject, in the protocol of NATS.
fn create_stream(port: u16) {
    let stream = json!({ "name": "points", "subjects": ["points"] }).to_string();
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("connect to NATS");
    let request = format!(
        "CONNECT {{\"verbose\":false}}\r\nPUB $JS.API.STREAM.CREATE.points answer {}\r\n{stream}\r\nPING\r\n",
        stream.len()
    );
    let sent = connection.write_all(request.as_bytes());
    sent.expect("create a stream");
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "PONG"));
}

#[test]
fn plugins_deliver_to_real_receivers() {
    let (setup, _) = all_plugins();
    let Some(receivers) = Receivers::start(&setup) else {
        return;
    };
    create_stream(receivers.nats.port());
    let next = Setup::new(&["file"], FILES);
    let next_host = next.start();
    let setup = setup.with_config(&receivers.config(next_host.url()));
    let host = setup.start();
    let alert = json!([{
        "alert_id": "fan-1", "alert_name": "fan", "storage_id": "s1", "severity": "Major",
        "category": "Fault", "occur_time": 1_700_000_000_000_u64,
    }]);
    for (kind, batch) in [("performance", one_series("iops", 1)), ("alerts", alert)] {
        let (status, receipt) = host.ingest(kind, &batch);
        assert_eq!(status, 202, "{receipt}");
    }
    let (_, status) = host.get("/v1/exporters");
    for exporter in status["exporters"].as_array().expect("exporters") {
        host.wait_for_delivered(exporter["name"].as_str().unwrap_or_default(), 1);
    }

    let metrics = || receivers.metrics.export("{resource_id=\"d1\"}");
    host.wait_for("both series", || (metrics().len() == 2).then_some(()));
    let accepted = receivers.otlp.accepted();
    let accepted = Value::from(accepted).to_string();
    assert!(
        accepted.contains("\"d1\"") && accepted.contains("fan-1"),
        "{accepted}"
    );
    assert_eq!(receivers.alertmanager.1.names(), ["fan"]);
    wait_for("a message", || {
        receivers.rsyslog.messages("delfin-host").pop()
    });
    assert_eq!(receivers.smtp.mails().len(), 1);
    wait_for("a notification", || {
        receivers.snmptrapd.notifications().pop()
    });
    let files = fs::read_dir(setup.path("parquet")).expect("a folder");
    assert!(files.count() > 0);
    assert_eq!(next.json_lines("performance.jsonl")[0]["name"], "iops");
    assert_eq!(next.json_lines("alerts.jsonl")[0]["alert_name"], "fan");
    let (status, log) = host.stop();
    assert!(status.success(), "{status}\n{log}");
}
