//! Syslog messages and webhooks, from real senders to an exporter.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::{
    io::Write,
    net::{SocketAddr, TcpStream, UdpSocket},
    process::{Command, Stdio},
};

use delfin_tests::{
    Authority, CommandOutput, Host, Setup, missing,
    receivers::{Rsyslog, RsyslogTls},
};
use serde_json::{Value, json};

const EXPORTER: &str = "AlertExporterFile";
const STORAGE: &str = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";

const MAPPING: &str = r#"
[[syslog]]
pattern = '^disk (?<disk>\d+) (?<state>failed|ok)$'
when = { "acme@99999.shelf" = "*" }
alert_name = "Disk ${disk} of shelf ${acme@99999.shelf}"
match_key = "disk/${disk}"
recovery = { state = "ok" }
"#;

/// `syslog` are settings of its table, and `host` is the address of the storage.
fn setup(syslog: &str, host: &str) -> Setup {
    let config = format!(
        r#"plugin_dirs = ["@/plugins"]
plugin_cache_dir = "@/cache"
state_dir = "@/state"
alert_exporters = ["{EXPORTER}"]
[exporter.{EXPORTER}.config]
path = "@/alerts.jsonl"
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
[syslog]
mapping_dir = "@/syslog.d"
{syslog}
[inputs.webhook]
enabled = true
mapping_dir = "@/webhooks.d"
[[storage]]
vendor = "fake_storage"
model = "fake_driver"
name = "array"
host = "{host}"
id = "{STORAGE}"
[storage.alerts]
interval = "1h"
"#
    );
    let setup = Setup::new(&["file"], "");
    std::fs::create_dir(setup.path("syslog.d")).unwrap();
    std::fs::write(setup.path("syslog.d/acme.toml"), MAPPING).unwrap();
    setup.with_whole_config(&config)
}

/// Where the host receives messages over a transport.
fn address(host: &Host, transport: &str) -> SocketAddr {
    let line = host.wait_for_log(&format!("receiving syslog messages transport={transport}"));
    let address = line.split("address=").nth(1).unwrap();
    address.split_whitespace().next().unwrap().parse().unwrap()
}

/// Polls until the exporter has written an alert of a notification with this name.
fn wait_for_alert(host: &Host, setup: &Setup, name: &str) -> Value {
    host.wait_for(&format!("the alert `{name}`"), || {
        let alerts = setup.json_lines("alerts.jsonl").into_iter();
        let mut alerts = alerts.filter(|alert| alert["alert_name"] == name);
        alerts.next_back()
    })
}

/// Polls until a counter has this value.
fn wait_for_count(host: &Host, name: &str, labels: &str, count: f64) {
    host.wait_for(&format!("{name}{{{labels}}} {count}"), || {
        let metrics = host.metrics();
        let mut samples = metrics.samples().iter();
        let found = samples.find(|sample| sample.name == name && sample.labels == labels);
        (found.unwrap().value == count).then_some(())
    });
}

/// Sends by `logger` of util-linux; `false` where it is missing.
fn logger(to: SocketAddr, args: &[&str]) -> bool {
    let port = to.port().to_string();
    let mut command = Command::new("logger");
    command.args(["-n", "127.0.0.1", "-P", &port]).args(args);
    if Command::new("logger").arg("-V").output().is_err() {
        missing("logger", "install `bsdutils`");
        return false;
    }
    let output = CommandOutput::run(&mut command);
    assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
    true
}

#[test]
fn messages_of_each_form_become_alerts_over_udp_and_tcp() {
    let setup = setup(
        "listen_udp = \"127.0.0.1:0\"\nlisten_tcp = \"127.0.0.1:0\"",
        "127.0.0.1",
    );
    let host = setup.start();
    let (udp, tcp) = (address(&host, "udp"), address(&host, "tcp"));
    let disk = |state: &str| format!("disk 3 {state}");
    let shelf = [
        "--rfc5424",
        "--sd-id",
        "acme@99999",
        "--sd-param",
        "shelf=\"s1\"",
    ];
    let failed = disk("failed");
    let failed = [&["-d", "-p", "local0.info"], &shelf[..], &[&failed]].concat();
    if !logger(udp, &failed) {
        return;
    }
    let alert = wait_for_alert(&host, &setup, "Disk 3 of shelf s1");
    assert_eq!(alert["storage_id"], STORAGE, "{alert}");
    assert_eq!(alert["storage_name"], "array");
    assert_eq!(alert["category"], "Fault");
    assert_eq!(alert["severity"], "Informational");
    assert_eq!(alert["received_by"], "syslog");
    let active = || host.get("/v1/alerts/active").1["alerts"].to_string();
    host.wait_for("the active alert", || {
        active().contains("disk/3").then_some(())
    });
    let ok = disk("ok");
    logger(
        tcp,
        &[
            &["-T", "--octet-count", "-p", "local0.info"],
            &shelf[..],
            &[&ok],
        ]
        .concat(),
    );
    host.wait_for("the end of the alert", || {
        (!active().contains("disk/3")).then_some(())
    });

    // No rule is for these: raw from the severity on.
    logger(
        tcp,
        &[
            "-T",
            "--rfc3164",
            "-p",
            "daemon.crit",
            "-t",
            "mgmtd",
            "fan 2 stopped",
        ],
    );
    let raw = wait_for_alert(&host, &setup, "fan 2 stopped");
    assert_eq!(raw["severity"], "Major", "{raw}");
    assert_eq!(raw["category"], "NotSpecified");
    assert_eq!(raw["alert_id"], "mgmtd");
    logger(
        udp,
        &[
            "-d",
            "--rfc3164",
            "-p",
            "daemon.notice",
            "-t",
            "mgmtd",
            "login",
        ],
    );
    wait_for_count(&host, "delfin_host_syslog_below_severity_total", "", 1.0);

    // Several messages in one connection, in both forms, and a last one without its end.
    let mut stream = TcpStream::connect(tcp).unwrap();
    stream
        .write_all(b"<131>first of three\n22 <131>second\nof three\n!<131>third of three")
        .unwrap();
    drop(stream);
    for name in ["first of three", "third of three"] {
        wait_for_alert(&host, &setup, name);
    }
    wait_for_count(
        &host,
        "delfin_host_syslog_messages_total",
        "transport=\"tcp\"",
        5.0,
    );
    wait_for_count(
        &host,
        "delfin_host_syslog_messages_total",
        "transport=\"udp\"",
        2.0,
    );
}

#[test]
fn messages_over_tls_need_the_certificate_of_a_known_authority() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let (server, client) = (
        authority.issue("localhost"),
        authority.issue("array.example"),
    );
    let text = |path: &std::path::Path| path.display().to_string();
    let ca = text(&authority.certificate);
    let syslog = format!(
        "listen_tls = \"127.0.0.1:0\"\n[syslog.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{ca}\"",
        text(&server.certificate),
        text(&server.key),
    );
    let setup = setup(&syslog, "localhost");
    let host = setup.start();
    let to = address(&host, "tls").to_string();
    let send = |more: &[&str], message: &[u8]| {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-quiet",
            "-no_ign_eof",
            "-connect",
            &to,
            "-CAfile",
            &ca,
        ]);
        let started = command
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut started) = started else {
            return missing("openssl", "install `openssl`");
        };
        // It may have ended after a refused handshake.
        let _ = started.stdin.take().unwrap().write_all(message);
        let _ = started.wait().unwrap();
    };
    send(&[], b"<131>without a certificate");
    wait_for_count(
        &host,
        "delfin_host_syslog_refused_total",
        "reason=\"handshake\"",
        1.0,
    );
    let [certificate, key] = [&client.certificate, &client.key].map(|path| text(path));
    let own = ["-cert", &certificate, "-key", &key];
    send(&own, b"28 <131>1 - - - - - - from afar");
    let alert = wait_for_alert(&host, &setup, "from afar");
    assert_eq!(alert["storage_id"], STORAGE, "{alert}");
    assert!(
        !setup
            .lines("alerts.jsonl")
            .concat()
            .contains("without a certificate")
    );
}

#[test]
fn rsyslog_forwards_messages_over_udp_tcp_and_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let (server, client) = (
        authority.issue("localhost"),
        authority.issue("rsyslog.example"),
    );
    let ca = authority.certificate.display();
    let setup = setup(
        &format!(
            "listen_udp = \"127.0.0.1:0\"\nlisten_tcp = \"127.0.0.1:0\"\nlisten_tls = \"127.0.0.1:0\"\n\
             [syslog.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{ca}\"",
            server.certificate.display(),
            server.key.display(),
        ),
        "127.0.0.1",
    );
    let host = setup.start();
    let forward = |transport: &str, options: &str| {
        let port = address(&host, transport).port();
        format!(
            "if $app-name == \"over-{transport}\" then action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" {options})\n"
        )
    };
    // The form of RFC 3164 in datagrams and lines, and that of RFC 5424 with octet counts.
    let new_form = "template=\"RSYSLOG_SyslogProtocol23Format\" TCP_Framing=\"octet-counted\"";
    let tls = "StreamDriver=\"ossl\" StreamDriverMode=\"1\" StreamDriverAuthMode=\"x509/name\" \
               StreamDriverPermittedPeers=\"localhost\"";
    let actions = [
        forward("udp", "protocol=\"udp\""),
        forward("tcp", "protocol=\"tcp\""),
        forward("tls", &format!("protocol=\"tcp\" {new_form} {tls}")),
    ];
    let files = RsyslogTls {
        authority: &authority.certificate,
        certificate: &client.certificate,
        key: &client.key,
    };
    let Some(rsyslog) = Rsyslog::start_with(folder.path(), Some(&files), &actions.concat()) else {
        return;
    };
    let mut to = TcpStream::connect(("127.0.0.1", rsyslog.ports().tcp)).unwrap();
    for transport in ["udp", "tcp", "tls"] {
        let message = format!(
            "<131>1 2026-11-27T10:00:00Z array over-{transport} - - - fan of {transport} stopped\n"
        );
        to.write_all(message.as_bytes()).unwrap();
        let alert = wait_for_alert(&host, &setup, &format!("fan of {transport} stopped"));
        assert_eq!(alert["storage_id"], STORAGE, "{alert}");
        assert_eq!(alert["severity"], "Minor", "{alert}");
        assert_eq!(alert["alert_id"], format!("over-{transport}"), "{alert}");
    }
}

#[test]
fn an_unknown_sender_is_counted_and_never_an_alert() {
    let syslog =
        "listen_udp = \"127.0.0.1:0\"\nlisten_tcp = \"127.0.0.1:0\"\nmax_message_bytes = \"1KiB\"";
    let setup = setup(syslog, "192.0.2.9");
    let host = setup.start();
    let (udp, tcp) = (address(&host, "udp"), address(&host, "tcp"));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"<8>help", udp).unwrap();
    let _stream = TcpStream::connect(tcp).unwrap();
    let refused = "delfin_host_syslog_refused_total";
    wait_for_count(&host, refused, "reason=\"unknown_sender\"", 2.0);
    host.wait_for_log("syslog was refused: no storage has this address");
    assert_eq!(host.get("/v1/alerts/active").1["alerts"], json!([]));

    // The address becomes known with the alert source of a storage.
    let source = json!({"host": "127.0.0.1", "version": "SNMPv2c", "community_string": "public"});
    let path = format!("/v1/storages/{STORAGE}/snmp-config");
    assert_eq!(host.send("PUT", &path, Some(&source)).0, 200);
    let long = format!("<8>long {}", "x".repeat(2_000));
    host.wait_for("the sender to be known", || {
        sender.send_to(long.as_bytes(), udp).unwrap();
        let lines = setup.lines("alerts.jsonl").concat();
        lines.contains("long xxx").then_some(())
    });
}

#[test]
fn webhooks_become_alerts_of_their_storage_and_end_them() {
    let setup = setup("", "192.0.2.9");
    let host = setup.start();
    let path = format!("/v1/ingest/webhooks/{STORAGE}");
    let post = |body: &Value| host.send("POST", &path, Some(body));
    let alertmanager = |status: &str| {
        json!({"receiver": "delfin", "alerts": [{"status": status, "fingerprint": "f1",
            "labels": {"alertname": "PoolFull", "severity": "warning", "instance": "array-7"},
            "annotations": {"summary": "pool 1 is full"}, "startsAt": "2023-11-14T22:13:20Z"}]})
    };
    let (status, answer) = post(&alertmanager("firing"));
    assert_eq!((status, &answer["items"]), (202, &json!(1)), "{answer}");
    let alert = wait_for_alert(&host, &setup, "PoolFull");
    assert_eq!(alert["storage_id"], STORAGE, "{alert}");
    assert_eq!(alert["severity"], "Warning");
    assert_eq!(alert["occur_time"], 1_700_000_000_000_i64);
    let active = || host.get("/v1/alerts/active").1["alerts"].to_string();
    host.wait_for("the active alert", || {
        active().contains("PoolFull").then_some(())
    });
    assert_eq!(post(&alertmanager("resolved")).0, 202);
    host.wait_for("the end of the alert", || {
        (!active().contains("PoolFull")).then_some(())
    });
    assert_eq!(post(&json!({"title": "Fan failed", "unit": 3})).0, 202);
    let raw = wait_for_alert(&host, &setup, "Fan failed");
    assert_eq!(raw["webhook_unit"], "3", "{raw}");

    let unknown = host.send("POST", "/v1/ingest/webhooks/other", Some(&json!({})));
    assert_eq!(unknown.0, 404, "{}", unknown.1);
}

#[test]
fn a_webhook_needs_a_token_with_the_scope_ingest() {
    let setup = setup("", "192.0.2.9");
    let [read, ingest] = ["read", "ingest"].map(|scope| {
        let added = setup.run(&["tokens", "add", scope, "--scope", scope]);
        added.expect_exit(0).stdout.trim_end().to_owned()
    });
    let host = setup.start();
    let post = |token: &str, title: &str| {
        let url = format!("{}/v1/ingest/webhooks/{STORAGE}", host.url());
        let mut command = Command::new("curl");
        command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H"]);
        command.arg(format!("Authorization: Bearer {token}"));
        command.args(["-H", "Content-Type: application/json", "-d"]);
        command.arg(json!({"title": title}).to_string()).arg(url);
        CommandOutput::run(&mut command).stdout
    };
    assert_eq!(post("", "no token"), "401");
    assert_eq!(post(&read, "wrong scope"), "403");
    assert_eq!(post(&ingest, "Fan failed"), "202");
    let _ = wait_for_alert(&host, &setup, "Fan failed");
    let written = setup.lines("alerts.jsonl").concat();
    assert!(!written.contains("wrong scope") && !written.contains("no token"));
    let _ = setup.run(&["tokens", "revoke", "ingest"]).expect_exit(0);
    assert_eq!(post(&ingest, "revoked"), "401");
}
