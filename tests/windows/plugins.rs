//! All plugins, and those whose receivers are small: they deliver to real ones, each in a process.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
};

use delfin_plugin_api::testkit::{TestReceiver, TestRequest, TestResponse};
use delfin_tests::{
    Authority, FILES, Setup, one_series,
    receivers::{
        Alertmanager, ClickHouse, Icinga, KafkaBroker, Mosquitto, Nats, OpenSearch, OtlpCollector,
        Postgres, Redis, Rsyslog, SmtpServer, Snmptrapd, VictoriaMetrics, free_port,
    },
    root, wait_for,
};
use serde_json::{Value, json};

/// A setup with all plugins that are libraries, and their names with `_` for `-`.
fn all_plugins() -> (Setup, Vec<String>) {
    let folders = fs::read_dir(root().join("plugins")).expect("the plugins");
    let folders = folders.flatten().map(|entry| entry.path());
    let libraries = folders.filter(|folder| folder.join("Cargo.toml").exists());
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
    "PerformanceExporterClickHouse", "PerformanceExporterDelfinHost", "PerformanceExporterElasticsearch",
    "PerformanceExporterInfluxDB", "PerformanceExporterMqtt", "PerformanceExporterNats",
    "PerformanceExporterOtlp", "PerformanceExporterParquet", "PerformanceExporterPostgres",
    "PerformanceExporterPrometheusRemoteWrite", "PerformanceExporterRedis", "PerformanceExporterSplunk",
]
alert_exporters = [
    "AlertExporterDelfinHost", "AlertExporterEmail", "AlertExporterIcinga", "AlertExporterOtlp",
    "AlertExporterPagerDuty", "AlertExporterPrometheus", "AlertExporterSnmp", "AlertExporterSyslog",
]
[exporter]
PerformanceExporterClickHouse.config = { url = "CLICKHOUSE" }
PerformanceExporterDelfinHost.config = { url = "NEXT_HOST" }
PerformanceExporterElasticsearch.config = { url = "OPENSEARCH" }
PerformanceExporterInfluxDB.config = { url = "METRICS", database = "delfin" }
PerformanceExporterMqtt.config = { address = "127.0.0.1:MQTT", tls = false, topic = "points" }
PerformanceExporterNats.config = { servers = "127.0.0.1:NATS", tls = false, subject = "points" }
PerformanceExporterOtlp.config = { url = "GRPC", protocol = "grpc" }
PerformanceExporterParquet.config = { folder = "@/parquet" }
PerformanceExporterPostgres.config = { address = "127.0.0.1:POSTGRES", tls = false, username = "postgres", database = "postgres" }
PerformanceExporterPrometheusRemoteWrite.config = { url = "METRICS/api/v1/write" }
PerformanceExporterRedis.config = { address = "127.0.0.1:REDIS", tls = false, stream = "points" }
PerformanceExporterSplunk.config = { url = "SERVICES", token = "secret", acknowledgement = false }
AlertExporterDelfinHost.config = { url = "NEXT_HOST" }
AlertExporterEmail.config = { address = "127.0.0.1:SMTP", tls = "off", from = "a\u0040example.com", to = "b\u0040example.com" }
AlertExporterIcinga.config = { url = "ICINGA", username = "delfin", password = "secret", ca_certificate = "AUTHORITY" }
AlertExporterOtlp.config = { url = "OTLP" }
AlertExporterPagerDuty.config = { url = "SERVICES/v2/enqueue", routing_key = "secret" }
AlertExporterPrometheus.config = { alert_manager_host = "127.0.0.1", alert_manager_port = ALERTMANAGER }
AlertExporterSnmp.config = { address = "127.0.0.1:SNMP", version = "2c", community = "secret" }
AlertExporterSyslog.config = { address = "127.0.0.1:SYSLOG", transport = "tcp" }
"#;

/// Real receivers, as long as they are not dropped; for services that no one can run, their answers.
struct Receivers {
    clickhouse: ClickHouse,
    opensearch: OpenSearch,
    icinga: Icinga,
    authority: Authority,
    services: TestReceiver,
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
        let authority = Authority::new(&folder("authority"));
        Some(Self {
            clickhouse: ClickHouse::start(&folder("clickhouse"))?,
            opensearch: OpenSearch::start(&folder("opensearch"))?,
            icinga: Icinga::start(&folder("icinga"), &authority)?,
            authority,
            services: TestReceiver::start(answer_of_service),
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
        let authority = self.authority.certificate.display().to_string();
        config
            .replace("AUTHORITY", &authority)
            .replace("CLICKHOUSE", &self.clickhouse.url())
            .replace("ICINGA", &self.icinga.url())
            .replace("OPENSEARCH", &self.opensearch.url())
            .replace("SERVICES", &self.services.url(""))
            .replace("ALERTMANAGER", &self.alertmanager.0.to_string())
            .replace("METRICS", &self.metrics.url())
            .replace("OTLP", &self.otlp.url())
            .replace("GRPC", &self.otlp.grpc_url())
            .replace("NEXT_HOST", next_host)
    }
}

/// What Splunk and PagerDuty answer to what they accept.
fn answer_of_service(request: &TestRequest) -> TestResponse {
    let (status, body) = match request.path.as_str() {
        "/v2/enqueue" => (202, r#"{"status":"success","dedup_key":"fan"}"#),
        _ => (200, r#"{"text":"Success","code":0}"#),
    };
    TestResponse::new(status)
        .header("content-type", "application/json")
        .body(body)
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

fn alert() -> Value {
    json!([{
        "alert_id": "fan-1", "alert_name": "fan", "storage_id": "s1", "severity": "Major",
        "category": "Fault", "occur_time": 1_700_000_000_000_u64,
    }])
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
    for (kind, batch) in [("performance", one_series("iops", 1)), ("alerts", alert())] {
        let (status, receipt) = host.ingest(kind, &batch);
        assert_eq!(status, 202, "{receipt}");
    }
    let (_, status) = host.get("/v1/exporters");
    for exporter in status["exporters"].as_array().expect("exporters") {
        host.wait_for_delivered(exporter["name"].as_str().unwrap_or_default(), 1);
    }

    let points = receivers
        .clickhouse
        .query("SELECT name FROM delfin_performance_points");
    assert_eq!(points, Ok(vec![json!({ "name": "iops" })]));
    let documents = receivers.opensearch.search("metrics-delfin-default");
    assert_eq!(documents.map(|documents| documents.len()), Some(1));
    let requests = receivers.services.requests();
    for part in ["/services/collector", "/v2/enqueue"] {
        assert!(
            requests.iter().any(|request| request.path.contains(part)),
            "{part}"
        );
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

const KAFKA: &str = r#"
performance_exporters = ["PerformanceExporterKafka"]
alert_exporters = ["AlertExporterKafka"]
[exporter.PerformanceExporterKafka.config]
bootstrap_servers = "SASL_TLS"
topic = "points"
message_format = "json"
compression = "zstd"
tls = { ca = "CA" }
sasl = { mechanism = "SCRAM-SHA-512", username = "delfin", password = "delfin-secret" }
[exporter.AlertExporterKafka.config]
bootstrap_servers = "PLAIN"
topic = "alerts"
compression = "lz4"
"#;

#[test]
fn kafka_gets_rows_over_tls_with_a_login_and_alerts_without() {
    let Some(broker) = KafkaBroker::start() else {
        return;
    };
    broker.add_topic("points");
    broker.add_topic("alerts");
    let config = KAFKA
        .replace("SASL_TLS", &broker.sasl_tls_servers())
        .replace("PLAIN", &broker.servers())
        .replace("CA", &broker.ca());
    let setup = Setup::new(&["kafka"], &config);
    let _ = setup.run(&["check", "--connect"]).expect_exit(0);
    let host = setup.start();
    for (kind, batch) in [("performance", one_series("iops", 1)), ("alerts", alert())] {
        let (status, receipt) = host.ingest(kind, &batch);
        assert_eq!(status, 202, "{receipt}");
    }
    for (exporter, topic, key, name) in [
        ("PerformanceExporterKafka", "points", "name", "iops"),
        ("AlertExporterKafka", "alerts", "alert_name", "fan"),
    ] {
        host.wait_for_delivered(exporter, 1);
        let messages = broker.read_topic(topic, 1);
        let message: Value = serde_json::from_str(&messages[0]).expect("JSON");
        let row = message.as_array().map_or(&message, |rows| &rows[0]);
        assert_eq!(row[key], name, "{message}");
    }
    let (status, log) = host.stop();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn a_broker_whose_certificate_is_not_trusted_is_refused_with_the_remedy() {
    let Some(broker) = KafkaBroker::start() else {
        return;
    };
    let config = format!(
        "performance_exporters = [\"PerformanceExporterKafka\"]\n\
         [exporter.PerformanceExporterKafka.config]\n\
         bootstrap_servers = \"{}\"\ntls = true\n",
        broker.tls_servers()
    );
    let setup = Setup::new(&["kafka"], &config);
    let refused = setup.run(&["check", "--connect"]).expect_exit(1);
    let reason = "its certificate signs itself and is not trusted (name it as `tls.ca`)";
    assert!(refused.stdout.contains(reason), "{refused:?}");
}
