//! SNMP traps and informs of net-snmp, from the wire to an exporter.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use delfin_tests::{
    CommandOutput, Host, Setup, missing,
    plugin_folder::{has_python, test_plugin},
    receivers,
};
use serde_json::{Value, json};

const EXPORTER: &str = "AlertExporterFile";
/// The storage whose traps are received.
const STORAGE: &str = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";
const COLD_START: &str = "1.3.6.1.6.3.1.1.5.1";
const LINK_DOWN: &str = "1.3.6.1.6.3.1.1.5.3";
const LINK_UP: &str = "1.3.6.1.6.3.1.1.5.4";
const IF_INDEX: &str = "1.3.6.1.2.1.2.2.1.1.7";

const AUTH_KEY: &str = "hunter2-authentication";
const PRIVACY_KEY: &str = "hunter2-privacy";

fn config(state_dir: &str) -> String {
    format!(
        r#"plugin_dirs = ["@/plugins"]
plugin_cache_dir = "@/cache"
state_dir = "{state_dir}"
alert_exporters = ["{EXPORTER}"]
[exporter.{EXPORTER}.config]
path = "@/alerts.jsonl"
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
[traps]
listen = "127.0.0.1:0"
mapping_dir = "@/traps.d"
[[storage]]
vendor = "fake_storage"
model = "fake_driver"
name = "array"
id = "{STORAGE}"
[storage.alerts]
interval = "1h"
"#
    )
}

fn setup() -> Setup {
    Setup::new(&["file"], "").with_whole_config(&config("@/state"))
}

/// Where the host receives traps.
fn trap_address(host: &Host) -> SocketAddr {
    let line = host.wait_for_log("receiving traps");
    let address = line.split("address=").nth(1).unwrap();
    address.split_whitespace().next().unwrap().parse().unwrap()
}

fn set_source(host: &Host, body: Value) {
    let path = format!("/v1/storages/{STORAGE}/snmp-config");
    let (status, answer) = host.send("PUT", &path, Some(&body));
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.to_string().contains("hunter2"), "{answer}");
}

fn community(text: &str) -> Value {
    json!({"host": "127.0.0.1", "version": "SNMPv2c", "community_string": text})
}

/// Whether net-snmp is there.
fn has_net_snmp() -> bool {
    let found = Command::new("snmptrap").arg("-V").output().is_ok();
    if !found {
        missing("net-snmp", "install `snmp`");
    }
    found
}

/// Runs `snmptrap` or `snmpinform`.
fn net_snmp(program: &str, setup: &Setup, args: &[&str]) -> CommandOutput {
    let folder: PathBuf = setup.path("net-snmp");
    let mut command = Command::new(program);
    command
        .args(args)
        .env("MIBS", "")
        .env("SNMP_PERSISTENT_DIR", folder);
    CommandOutput::run(&mut command)
}

fn send(setup: &Setup, to: SocketAddr, options: &[&str], trap: &[&str]) {
    let to = to.to_string();
    let args = [options, &[to.as_str(), ""], trap].concat();
    let output = net_snmp("snmptrap", setup, &args);
    assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
}

/// The alerts of traps that the exporter has written, in their order.
fn alerts(setup: &Setup) -> Vec<Value> {
    let alerts = setup.json_lines("alerts.jsonl").into_iter();
    alerts
        .filter(|alert| alert.to_string().contains("trap_oid"))
        .collect()
}

fn wait_for_alerts(host: &Host, setup: &Setup, count: usize) -> Vec<Value> {
    host.wait_for(&format!("{count} alerts"), || {
        let found = alerts(setup);
        (found.len() >= count).then_some(found)
    })
}

/// Whether the exporter has written the alert of a trap that no mapping knows.
fn has_alert(setup: &Setup, trap: &str) -> bool {
    alerts(setup).iter().any(|alert| alert["alert_id"] == trap)
}

/// Polls until a counter of refused datagrams has this value.
fn wait_for_refused(host: &Host, reason: &str, count: f64) {
    let labels = format!("reason=\"{reason}\"");
    host.wait_for(&format!("{count} refused: {reason}"), || {
        let metrics = host.metrics();
        let mut samples = metrics.samples().iter();
        let found = samples.find(|sample| {
            sample.name == "delfin_host_traps_refused_total" && sample.labels == labels
        });
        (found.unwrap().value == count).then_some(())
    });
}

#[test]
fn traps_of_each_version_become_alerts_and_link_up_ends_link_down() {
    if !has_net_snmp() {
        return;
    }
    let setup = setup();
    let host = setup.start();
    let to = trap_address(&host);
    set_source(&host, community("hunter2-community"));
    let v2c = ["-v", "2c", "-c", "hunter2-community"];
    send(&setup, to, &v2c, &[LINK_DOWN, IF_INDEX, "i", "7"]);
    let found = wait_for_alerts(&host, &setup, 1);
    assert_eq!(found[0]["alert_name"], "Link down", "{}", found[0]);
    assert_eq!(found[0]["storage_id"], STORAGE);
    assert_eq!(found[0]["category"], "Fault");
    assert_eq!(found[0]["match_key"], "link/7");
    let active = || host.get("/v1/alerts/active").1["alerts"].to_string();
    host.wait_for("the active alert", || {
        active().contains("link/7").then_some(())
    });
    // A list of the storage does not know the traps, and does not end their alerts.
    let sync = format!("/v1/storages/{STORAGE}/alerts/sync");
    assert_eq!(host.send("POST", &sync, Some(&json!({}))).0, 200);
    host.wait_for("the list", || {
        active().contains("Power failure").then_some(())
    });
    assert!(active().contains("link/7"));
    send(&setup, to, &v2c, &[LINK_UP, IF_INDEX, "i", "7"]);
    host.wait_for("the end of the alert", || {
        (!active().contains("link/7")).then_some(())
    });

    // Version 1 of an enterprise that no mapping knows: a raw alert.
    let to_text = to.to_string();
    let v1 = [
        "-v",
        "1",
        "-c",
        "hunter2-community",
        &to_text,
        "1.3.6.1.4.1.99999",
        "10.1.2.3",
        "6",
        "17",
        "",
        "1.3.6.1.4.1.99999.1",
        "s",
        "fan 3 failed",
    ];
    assert_eq!(net_snmp("snmptrap", &setup, &v1).code, Some(0));
    let found = wait_for_alerts(&host, &setup, 3);
    let raw = &found[2];
    assert_eq!(raw["alert_id"], "1.3.6.1.4.1.99999.0.17", "{raw}");
    assert_eq!(raw["category"], "NotSpecified");
    let description = raw["description"].as_str().unwrap();
    assert!(description.contains("fan 3 failed"), "{raw}");
    let log = host.log();
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn every_security_level_and_protocol_of_version_3_is_received() {
    if !has_net_snmp() {
        return;
    }
    let setup = setup();
    let host = setup.start();
    let to = trap_address(&host);
    let auths = [
        ("HMACMD5", "MD5"),
        ("HMACSHA", "SHA"),
        ("HMCSHA2224", "SHA-224"),
        ("HMCSHA2256", "SHA-256"),
        ("HMCSHA2384", "SHA-384"),
        ("HMCSHA2512", "SHA-512"),
    ];
    let privacies = [
        ("DES", "DES"),
        ("AES", "AES"),
        ("AES192", "AES-192"),
        ("AES256", "AES-256"),
    ];
    let level = |level: &str| json!({"host": "127.0.0.1", "version": "SNMPv3", "username": "user-one", "security_level": level});
    let mut cases = vec![(level("noAuthnoPriv"), vec!["-l", "noAuthNoPriv"])];
    for (name, option) in auths {
        let mut source = level("authNoPriv");
        source["auth_protocol"] = name.into();
        source["auth_key"] = AUTH_KEY.into();
        let options = vec!["-l", "authNoPriv", "-a", option, "-A", AUTH_KEY];
        cases.push((source, options));
    }
    for (index, (name, option)) in privacies.into_iter().enumerate() {
        // A short key needs an extension, a long one does not.
        for (auth_name, auth) in [auths[1], auths[3 + index % 3]] {
            let mut source = level("authPriv");
            source["auth_protocol"] = auth_name.into();
            source["auth_key"] = AUTH_KEY.into();
            source["privacy_protocol"] = name.into();
            source["privacy_key"] = PRIVACY_KEY.into();
            let options = ["-l", "authPriv", "-a", auth, "-A", AUTH_KEY];
            let options = [&options[..], &["-x", option, "-X", PRIVACY_KEY]].concat();
            cases.push((source, options));
        }
    }
    for (index, (source, options)) in cases.into_iter().enumerate() {
        set_source(&host, source.clone());
        let common = ["-v", "3", "-u", "user-one"];
        // Each case is another device: an engine has one time.
        let engine = format!("0x80001f8804{index:08x}");
        let own = [&common[..], &["-e", &engine], &options].concat();
        let trap = format!("1.3.6.1.4.1.99999.0.{}", index + 1);
        // The change applies when it is answered: one trap is enough.
        send(&setup, to, &own, &[&trap]);
        host.wait_for(&format!("a trap: {options:?}"), || {
            has_alert(&setup, &trap).then_some(())
        });
        let (to, trap) = (to.to_string(), format!("1.3.6.1.4.1.99998.0.{}", index + 1));
        let timing = ["-r", "3", "-t", "20"];
        let inform = [&common[..], &timing, &options, &[&to, "", &trap]].concat();
        let output = net_snmp("snmpinform", &setup, &inform);
        let log = host.log();
        assert_eq!(
            output.code,
            Some(0),
            "{options:?}: {}\n{log}",
            output.stderr
        );
        host.wait_for("the alert of the inform", || {
            has_alert(&setup, &trap).then_some(())
        });
    }
    let log = host.log();
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn what_is_not_from_a_known_sender_never_becomes_an_alert() {
    if !has_net_snmp() {
        return;
    }
    let setup = setup();
    let host = setup.start();
    let to = trap_address(&host);
    let v2c = ["-v", "2c", "-c", "wrong"];
    send(&setup, to, &v2c, &[COLD_START]);
    wait_for_refused(&host, "unknown_sender", 1.0);
    host.wait_for_log("a trap was refused");
    set_source(&host, community("right"));
    host.wait_for("the source to apply", || {
        send(&setup, to, &v2c, &[COLD_START]);
        let metrics = host.metrics();
        let mut samples = metrics.samples().iter();
        let wrong = samples.find(|sample| sample.labels == "reason=\"wrong_community\"");
        (wrong.unwrap().value > 0.0).then_some(())
    });
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for junk in [
        &b""[..],
        b"\x30",
        b"\x30\x82\xff\xff\x02\x01\x01",
        &[0xff; 60_000],
    ] {
        sender.send_to(junk, to).unwrap();
    }
    wait_for_refused(&host, "malformed", 4.0);
    let v3 = json!({"host": "127.0.0.1", "version": "SNMPv3", "username": "user-one",
        "security_level": "authNoPriv", "auth_protocol": "HMACSHA", "auth_key": AUTH_KEY});
    set_source(&host, v3);
    let other = |user: &str, key: &str, engine: &str| {
        let options = [
            "-v",
            "3",
            "-e",
            engine,
            "-u",
            user,
            "-l",
            "authNoPriv",
            "-a",
            "SHA",
            "-A",
            key,
        ];
        send(&setup, to, &options, &[COLD_START]);
    };
    host.wait_for("the source to apply", || {
        other("stranger", AUTH_KEY, "0x80001f880401");
        let page = host.text("/metrics");
        page.contains("reason=\"unknown_user\"} 1").then_some(())
    });
    other("user-one", "another-password", "0x80001f880402");
    wait_for_refused(&host, "wrong_digest", 1.0);
    let plain = [
        "-v",
        "3",
        "-e",
        "0x80001f880403",
        "-u",
        "user-one",
        "-l",
        "noAuthNoPriv",
    ];
    send(&setup, to, &plain, &[COLD_START]);
    wait_for_refused(&host, "other_level", 1.0);
    // What is right still arrives, alone.
    other("user-one", AUTH_KEY, "0x80001f880404");
    let found = wait_for_alerts(&host, &setup, 1);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn an_inform_is_answered_only_after_its_alert_is_durable() {
    if !has_net_snmp() {
        return;
    }
    let setup = setup();
    let text = config("@/state");
    // No disk has so much space, so that the journal takes nothing.
    let full = text.replace("min_free_bytes = 0", "min_free_bytes = \"1000000GiB\"");
    let setup = setup.with_whole_config(&full);
    let inform = |setup: &Setup, host: &Host, options: [&str; 4]| {
        let to = trap_address(host).to_string();
        let args = [
            &["-v", "2c", "-c", "public"],
            &options[..],
            &[&to, "", LINK_DOWN],
        ]
        .concat();
        net_snmp("snmpinform", setup, &args).code
    };
    let host = setup.start();
    set_source(&host, community("public"));
    host.wait_for("an inform that is not durable", || {
        assert_ne!(inform(&setup, &host, ["-r", "0", "-t", "2"]), Some(0));
        let log = host.log();
        log.contains("the journal does not take alerts of notifications")
            .then_some(())
    });
    assert_eq!(alerts(&setup), [Value::Null; 0]);
    host.kill();
    let setup = setup.with_whole_config(&text);
    let host = setup.start();
    assert_eq!(inform(&setup, &host, ["-r", "3", "-t", "20"]), Some(0));
    // It was durable before the answer, so that it survives the end of the host.
    host.kill();
    let host = setup.start();
    let found = wait_for_alerts(&host, &setup, 1);
    assert_eq!(found[0]["alert_name"], "Link down");
}

#[test]
fn a_reload_applies_changed_mappings_and_refuses_a_mistake() {
    let setup = setup();
    fs::create_dir(setup.path("traps.d")).unwrap();
    let host = setup.start();
    let reload = || host.send("POST", "/v1/reload", Some(&json!({})));
    setup.write(
        "traps.d/acme.toml",
        "[[trap]]\noid = \"acme\"\nalert_name = \"x\"\n",
    );
    let (status, answer) = reload();
    assert_eq!(status, 400, "{answer}");
    let message = answer["error_msg"].as_str().unwrap_or_default();
    assert!(
        message.contains("acme.toml`: `trap[1].oid`: `acme` is neither"),
        "{answer}"
    );
    let check = setup.run(&["check"]);
    assert!(
        check.stdout.contains("failed  trap mappings"),
        "{}",
        check.stdout
    );
    let mapping = "[[trap]]\noid = \"1.3.6.1.4.1.99999.0.1\"\nalert_name = \"Acme alarm\"\nseverity = \"Minor\"\n";
    setup.write("traps.d/acme.toml", mapping);
    assert_eq!(reload().0, 200);
    let to = trap_address(&host);
    set_source(&host, community("public"));
    let shown = setup.run(&["traps", "test", &acme_trap(), "--json"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        shown["notification"]["alert"]["alert_name"], "Acme alarm",
        "{shown}"
    );
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let found = host.wait_for("the mapped alert", || {
        sender.send_to(&octets(&acme_trap()), to).unwrap();
        alerts(&setup).into_iter().next()
    });
    assert_eq!(found["alert_name"], "Acme alarm");
    assert_eq!(found["severity"], "Minor");
}

#[test]
fn a_driver_of_a_plugin_reads_traps_and_is_asked_again_after_a_reload() {
    if !has_net_snmp() || !has_python() {
        return;
    }
    let built_in = "vendor = \"fake_storage\"\nmodel = \"fake_driver\"\n";
    let of_plugin = "vendor = \"acme\"\nmodel = \"meter\"\noptions = { rest = { host = \"h\" } }\n";
    let config = config("@/state").replace(built_in, of_plugin);
    let setup = Setup::new(&["file"], "").with_whole_config(&config);
    let folder = setup.install(&test_plugin("meter"), "meter.plugin");
    let program = folder.join("driver.py");
    let reads_traps = fs::read_to_string(&program).unwrap();
    fs::write(
        &program,
        reads_traps.replace("def parse_trap", "def parse_nothing"),
    )
    .unwrap();
    let host = setup.start();
    let to = trap_address(&host);
    set_source(&host, community("public"));
    let fan = |text| {
        let trap = ["1.3.6.1.4.1.99999.0.2", "1.3.6.1.4.1.99999.1.1", "s", text];
        send(&setup, to, &["-v", "2c", "-c", "public"], &trap);
    };
    fan("fan 1 failed");
    let raw = wait_for_alerts(&host, &setup, 1);
    assert_eq!(raw[0]["alert_id"], "1.3.6.1.4.1.99999.0.2", "{}", raw[0]);

    fs::write(&program, reads_traps).unwrap();
    assert_eq!(host.send("POST", "/v1/reload", None).0, 200);
    fan("fan 2 failed");
    let alert = host.wait_for("the alert of the driver", || {
        let mut alerts = setup.json_lines("alerts.jsonl").into_iter();
        alerts.find(|alert| alert["alert_name"] == "fan 2 failed")
    });
    assert_eq!(
        json!([
            alert["storage_id"],
            alert["sequence_number"],
            alert["serial_number"]
        ]),
        json!([STORAGE, "12", "sn"])
    );
}

/// A running `snmpd`, until it is dropped.
struct Snmpd(Child);

impl Drop for Snmpd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `snmpd` of net-snmp on this port; `None` where it is missing.
fn snmpd(setup: &Setup, port: u16) -> Option<Snmpd> {
    setup.write("snmpd.conf", "rocommunity public 127.0.0.1\n");
    let started = receivers::command(&receivers::binary("snmpd")?)
        .args(["-f", "-LE", "3", "-C", "-c"])
        .arg(setup.path("snmpd.conf"))
        .arg(format!("udp:127.0.0.1:{port}"))
        .env("MIBS", "")
        .env("SNMP_PERSISTENT_DIR", setup.path("snmpd"))
        .stderr(Stdio::null())
        .spawn();
    Some(Snmpd(started.unwrap()))
}

#[test]
fn a_storage_that_does_not_answer_has_an_alert_until_it_answers() {
    let setup = setup();
    let text = config("@/state").replace(
        "[traps]\n",
        "[traps]\nvalidated_models = [\"FAKE_driver\"]\n",
    );
    let setup = setup.with_whole_config(&text);
    // It is bound and never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let host = setup.start();
    let source = |port: u16| {
        json!({"host": "127.0.0.1", "version": "SNMPv2c", "community_string": "public",
            "port": port, "expiration": 1, "retry_num": 2})
    };
    set_source(&host, source(silent.local_addr().unwrap().port()));
    // The fake array has an alert of the same name itself.
    let is_active = || {
        let alerts = host.get("/v1/alerts/active").1["alerts"].take();
        let mut alerts = alerts.as_array().into_iter().flatten();
        alerts.any(|alert| alert["alert_id"] == "19660818")
    };
    host.wait_for("the alert", || is_active().then_some(()));
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let Some(_running) = snmpd(&setup, port) else {
        return;
    };
    // Until it runs, each change of the source asks again.
    let mut context = 0;
    host.wait_for("the end of the alert", || {
        context += 1;
        let mut source = source(port);
        source["context_name"] = format!("c{context}").into();
        set_source(&host, source);
        (!is_active()).then_some(())
    });
}

const ACME_MIB: &str = r#"ACME-MIB DEFINITIONS ::= BEGIN
IMPORTS OBJECT-TYPE, NOTIFICATION-TYPE, enterprises FROM SNMPv2-SMI DisplayString FROM SNMPv2-TC;
acme OBJECT IDENTIFIER ::= { enterprises 99999 }
acmeDisk OBJECT-TYPE
    SYNTAX DisplayString MAX-ACCESS accessible-for-notify STATUS current DESCRIPTION "A disk."
    ::= { acme 1 }
acmeDiskFailed NOTIFICATION-TYPE
    OBJECTS { acmeDisk } STATUS current DESCRIPTION "A disk failed."
    ::= { acme 0 1 }
acmeDiskSlow NOTIFICATION-TYPE
    OBJECTS { acmeDisk } STATUS current DESCRIPTION "A disk is slow."
    ::= { acme 0 2 }
END
"#;

#[test]
fn names_of_mib_files_are_used_and_a_broken_file_stops_nothing() {
    if !has_net_snmp() {
        return;
    }
    let listen = "[traps]\n";
    let config = config("@/state").replace(listen, &format!("{listen}mib_dirs = [\"@/mibs\"]\n"));
    let setup = Setup::new(&["file"], "").with_whole_config(&config);
    for folder in ["mibs", "traps.d"] {
        fs::create_dir(setup.path(folder)).unwrap();
    }
    setup.write("mibs/ACME-MIB.txt", ACME_MIB);
    let broken = ACME_MIB
        .replace("ACME-MIB", "BROKEN-MIB")
        .replace("MAX-ACCESS", "(");
    setup.write("mibs/BROKEN-MIB.txt", &broken);
    let mapping = "[[trap]]\noid = \"ACME-MIB::acmeDiskFailed\"\n\
                   alert_name = \"Disk ${ACME-MIB::acmeDisk} failed\"\n\
                   location = \"slot ${index:ACME-MIB::acmeDisk}\"\n";
    setup.write("traps.d/acme.toml", mapping);
    let host = setup.start();
    let warning = host.wait_for_log("BROKEN-MIB.txt`, line 5: ");
    assert!(warning.contains("WARN"), "{warning}");
    let check = setup.run(&["check"]);
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    assert!(
        check.stderr.contains("BROKEN-MIB.txt`, line 5: "),
        "{}",
        check.stderr
    );

    let to = trap_address(&host);
    set_source(&host, community("public"));
    let trap = |number: &str| {
        let oid = format!("1.3.6.1.4.1.99999.0.{number}");
        let disk = ["1.3.6.1.4.1.99999.1.7", "s", "d7"];
        let options = ["-v", "2c", "-c", "public"];
        send(&setup, to, &options, &[&[&*oid][..], &disk].concat());
    };
    trap("1");
    let [failed] = &wait_for_alerts(&host, &setup, 1)[..] else {
        panic!("one trap made several alerts");
    };
    assert_eq!(failed["alert_name"], "Disk d7 failed", "{failed}");
    assert_eq!(failed["location"], "slot 7", "{failed}");
    trap("2");
    let slow = wait_for_alerts(&host, &setup, 2).remove(1);
    assert_eq!(slow["alert_name"], "ACME-MIB::acmeDiskSlow", "{slow}");
    assert_eq!(slow["description"], "ACME-MIB::acmeDisk.7=d7", "{slow}");
    let shown = setup.run(&["traps", "test", &acme_trap()]);
    let first = "SNMPv2c trap: ACME-MIB::acmeDiskFailed (1.3.6.1.4.1.99999.0.1)";
    assert!(shown.stdout.starts_with(first), "{}", shown.stdout);

    // Without its names, the mapping is left out. The trap is received as it is, with the names of the broken file.
    fs::remove_file(setup.path("mibs/ACME-MIB.txt")).unwrap();
    assert_eq!(host.send("POST", "/v1/reload", Some(&json!({}))).0, 200);
    host.wait_for_log("acme.toml`: `ACME-MIB::acmeDiskFailed` is in no MIB file");
    trap("1");
    let raw = wait_for_alerts(&host, &setup, 3).remove(2);
    assert_eq!(raw["alert_name"], "BROKEN-MIB::acmeDiskFailed", "{raw}");
    assert_eq!(raw["description"], "BROKEN-MIB::acme.1.7=d7", "{raw}");
}

/// A trap of version 2c for 1.3.6.1.4.1.99999.0.1, with the community `public`.
fn acme_trap() -> String {
    let uptime = "300d06082b06010201010300430105";
    let trap = "3018060a2b060106030101040100060a2b06010401868d1f0001";
    let variables = format!("30{:02x}{uptime}{trap}", (uptime.len() + trap.len()) / 2);
    let pdu = format!("020101020100020100{variables}");
    let pdu = format!("a7{:02x}{pdu}", pdu.len() / 2);
    let message = format!("02010104067075626c6963{pdu}");
    format!("30{:02x}{message}", message.len() / 2)
}

fn octets(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
