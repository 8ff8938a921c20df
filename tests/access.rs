//! Who may use the API, with the real binary.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{os::unix::fs::PermissionsExt, path::Path};

use delfin_tests::{Authority, CommandOutput, Host, Setup, runs_windows};
use serde_json::json;

const CONFIG: &str = r#"
performance_exporters = []
"#;

fn setup() -> Setup {
    Setup::new(&[], CONFIG)
}

/// Adds a token: its text.
fn token(setup: &Setup, name: &str, scope: &str) -> String {
    let added = setup.run(&["tokens", "add", name, "--scope", scope]);
    added.expect_exit(0).stdout.trim_end().to_owned()
}

/// A command that talks to this host over the network, with this token.
fn call(setup: &Setup, host: &Host, token: &str, args: &[&str]) -> CommandOutput {
    let mut command = setup.command(args);
    command
        .args(["--host", host.url()])
        .env("DELFIN_TOKEN", token);
    CommandOutput::run(&mut command)
}

#[test]
fn a_token_of_a_command_works_with_the_running_host_until_it_is_revoked() {
    let setup = setup();
    let before = token(&setup, "before", "read");
    let host = setup.start();
    let admin = token(&setup, "ops", "read,admin");

    let refused = call(&setup, &host, "", &["exporters"]).expect_exit(1);
    assert!(
        refused
            .stderr
            .contains("Give the token with `--token-file`"),
        "{refused:?}"
    );
    let _ = call(&setup, &host, &before, &["exporters"]).expect_exit(0);
    let refused = call(&setup, &host, &before, &["reload"]).expect_exit(1);
    assert!(
        refused.stderr.contains("does not have the scope `admin`"),
        "{refused:?}"
    );
    let _ = call(&setup, &host, &admin, &["reload"]).expect_exit(0);

    let shown = setup.run(&["tokens", "list", "--json"]).expect_exit(0);
    assert_eq!(shown.json()["tokens"][1]["name"], "ops");
    assert_eq!(shown.json()["tokens"][1]["scopes"][1], "admin");
    let _ = setup.run(&["tokens", "revoke", "ops"]).expect_exit(0);
    let refused = call(&setup, &host, &admin, &["reload"]).expect_exit(1);
    assert!(
        refused.stderr.contains("unknown, or was revoked"),
        "{refused:?}"
    );

    let twice = setup.run(&["tokens", "add", "before", "--scope", "read"]);
    let twice = twice.expect_exit(1);
    assert!(
        twice.stderr.contains("`before` exists already"),
        "{twice:?}"
    );
    let _ = setup
        .run(&["tokens", "add", "a b", "--scope", "read"])
        .expect_exit(2);
    let _ = setup.run(&["tokens", "revoke", "ops"]).expect_exit(1);

    let (status, log) = host.stop();
    assert!(status.success());
    for secret in [&before, &admin] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
}

#[test]
fn an_address_for_other_machines_needs_a_token_or_the_consent_of_the_operator() {
    let text = "plugin_dirs = []\nstate_dir = \"@/state\"\n[api]\nlisten = \"0.0.0.0:0\"\n[journal]\nmin_free_bytes = 0\n";
    let setup = setup().with_whole_config(text);
    for command in ["run", "check"] {
        let refused = setup.run(&[command]).expect_exit(3);
        assert!(refused.stderr.contains("no token exists"), "{refused:?}");
    }
    let token = token(&setup, "first", "admin");
    let host = setup.start();
    assert_eq!(host.get("/v1/exporters").0, 401);
    assert_eq!(host.get("/healthz").0, 200);
    let _ = call(&setup, &host, &token, &["exporters"]).expect_exit(0);
    drop(host);

    setup.write("state/tokens.json", "{");
    let refused = setup.run(&["run"]).expect_exit(1);
    assert!(
        refused.stderr.contains("tokens.json` is damaged"),
        "{refused:?}"
    );
}

/// A command that finds the host by its configuration.
fn run(setup: &Setup, args: &[&str]) -> CommandOutput {
    let mut command = setup.command(args);
    command.env_remove("DELFIN_TOKEN");
    CommandOutput::run(&mut command)
}

#[test]
fn a_command_uses_the_socket_without_a_token_as_long_as_its_user_may() {
    let setup = setup();
    let _ = token(&setup, "one", "read");
    let host = setup.start();
    let _ = run(&setup, &["exporters"]).expect_exit(0);
    let _ = run(&setup, &["reload"]).expect_exit(0);
    let socket = setup.path("state/api.sock");
    let mode = socket.metadata().expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let named = format!("unix:{}", socket.display());
    let _ = run(&setup, &["exporters", "--host", &named]).expect_exit(0);
    host.kill();
    // The socket of the killed host is no obstacle.
    let host = setup.start();
    let _ = run(&setup, &["exporters"]).expect_exit(0);
    let (status, _) = host.stop();
    assert!(status.success());
    assert!(!socket.exists());
    let _ = run(&setup, &["exporters", "--host", &named]).expect_exit(4);
}

#[test]
fn every_change_is_in_the_audit_log_with_who_and_outcome_and_no_secret() {
    let setup = setup();
    let text = "state_dir = \"@/state\"\nplugin_dirs = []\n[api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n[log]\naudit_file = \"@/audit.log\"\n";
    let setup = setup.with_whole_config(text);
    let host = setup.start();
    assert_eq!(host.send("POST", "/v1/reload", None).0, 200);
    let admin = token(&setup, "ops", "admin");
    let reader = token(&setup, "reader", "read");
    let _ = call(&setup, &host, &admin, &["reload"]).expect_exit(0);
    let _ = call(&setup, &host, &reader, &["reload"]).expect_exit(1);
    let _ = call(&setup, &host, "", &["reload"]).expect_exit(1);
    let _ = call(&setup, &host, &reader, &["exporters"]).expect_exit(0);
    let _ = run(&setup, &["reload"]).expect_exit(0);
    let secret = json!({"vendor": "none", "model": "none", "rest": {"host": "h", "port": 1, "username": "u", "password": "hunter2"}});
    assert_eq!(host.send("POST", "/v1/storages", Some(&secret)).0, 401);
    host.send_hangup();
    host.wait_for("the record of the signal", || {
        let records = setup.lines("audit.log").concat();
        records.contains("SIGHUP").then_some(())
    });

    let uid = rustix::process::geteuid().as_raw();
    let lines = setup.json_lines("audit.log");
    let shown: Vec<String> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            format!(
                "{} {} {} {}",
                text("who"),
                text("from"),
                text("what"),
                text("outcome")
            )
        })
        .collect();
    let user = format!("user {uid} local");
    assert_eq!(
        shown,
        [
            "anonymous 127.0.0.1 POST /v1/reload 200".to_owned(),
            format!("{user} tokens add ops ok"),
            format!("{user} tokens add reader ok"),
            "token ops 127.0.0.1 POST /v1/reload 200".to_owned(),
            "token reader 127.0.0.1 POST /v1/reload 403".to_owned(),
            "unknown 127.0.0.1 POST /v1/reload 401".to_owned(),
            format!("{user} POST /v1/reload 200"),
            "unknown 127.0.0.1 POST /v1/storages 401".to_owned(),
            "signal SIGHUP local reload ok".to_owned(),
        ]
    );
    let (_, log) = host.stop();
    assert!(
        log.contains(" audit: change who=\"token ops\" from=127.0.0.1"),
        "{log}"
    );
    for secret in [&*admin, &*reader, "hunter2"] {
        assert!(
            !log.contains(secret) && !shown.concat().contains(secret),
            "{log}"
        );
    }
}

#[test]
fn connections_are_encrypted_and_a_new_certificate_needs_no_restart() {
    let setup = setup();
    let authority = Authority::new(&setup.path(""));
    let (first, second) = (
        authority.issue("localhost"),
        authority.issue("other.example"),
    );
    let text = format!(
        "state_dir = \"@/state\"\nplugin_dirs = []\n[api]\nlisten = \"127.0.0.1:0\"\nsocket = \"off\"\n[api.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n[journal]\nmin_free_bytes = 0\n",
        first.certificate.display(),
        first.key.display(),
        authority.certificate.display(),
    );
    let setup = setup.with_whole_config(&text);
    let host = setup.start();
    let url = host.url().replace("http://127.0.0.1", "https://localhost");
    let [ca, certificate, key] = [&authority.certificate, &second.certificate, &second.key]
        .map(|path| path.display().to_string());
    let exporters = |more: &[&str]| {
        run(
            &setup,
            &[&["exporters", "--host", &url, "--ca", &ca], more].concat(),
        )
    };
    let client = ["--client-certificate", &certificate, "--client-key", &key];
    let _ = exporters(&client).expect_exit(0);
    let refused = exporters(&[]).expect_exit(4);
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    let plain = run(&setup, &["exporters", "--host", host.url()]);
    assert_ne!(plain.code, Some(0), "{plain:?}");

    // The certificate of another name, in two steps: the first fits no key.
    let copy = |from: &Path, to: &Path| std::fs::copy(from, to).expect("a copied file");
    let saved = setup.path("saved.pem");
    copy(&first.certificate, &saved);
    copy(&second.certificate, &first.certificate);
    let _ = exporters(&client).expect_exit(0);
    host.wait_for_log("the certificate stays as it was");
    copy(&saved, &first.certificate);
    let renewed = authority.issue("localhost");
    assert_eq!(renewed.certificate, first.certificate);
    let _ = exporters(&client).expect_exit(0);
    host.wait_for_log("read the certificate again");
}

/// A password as Delfin stores it: `hunter2` in Base64.
const ENCODED: &str =
    r#"{"host": "10.0.0.1", "port": 8080, "username": "u", "password": "aHVudGVyMg=="}"#;

const IDS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "00000000-0000-0000-0000-000000000003",
];

/// A database as Delfin makes it, with a storage, one that a driver is missing for, and one whose
/// password another cryptor has written.
fn delfin_database(path: &Path) {
    let database = rusqlite::Connection::open(path).expect("a database");
    let tables = "CREATE TABLE access_info (created_at DATETIME, storage_id VARCHAR(36) PRIMARY KEY, storage_name VARCHAR(255), vendor VARCHAR(255), model VARCHAR(255), rest TEXT, ssh TEXT, cli TEXT, smis TEXT, extra_attributes TEXT);
        CREATE TABLE storages (id VARCHAR(36) PRIMARY KEY, name VARCHAR(255), serial_number VARCHAR(255), total_capacity BIGINT, deleted BOOLEAN);
        CREATE TABLE alert_source (storage_id VARCHAR(36) PRIMARY KEY, host VARCHAR(255), version VARCHAR(255), community_string VARCHAR(255), port INTEGER);
        CREATE TABLE tasks (id INTEGER PRIMARY KEY, storage_id VARCHAR(36), interval INTEGER, deleted BOOLEAN);";
    database.execute_batch(tables).expect("tables");
    let other = ENCODED.replace("aHVudGVyMg==", "gAAAAABk!");
    for (id, model, rest) in [
        (IDS[0], "fake_driver", ENCODED),
        (IDS[1], "unknown", ENCODED),
        (IDS[2], "fake_driver", &other),
    ] {
        let access = "INSERT INTO access_info VALUES (NULL, ?1, ?1, 'fake_storage', ?2, ?3, '{}', NULL, NULL, '{\"volumes\": \"2\"}')";
        database.execute(access, [id, model, rest]).expect("a row");
        let storage = "INSERT INTO storages VALUES (?1, 'array ' || ?1, 'sn' || ?1, 1000, 0)";
        database.execute(storage, [id]).expect("a row");
    }
    for (id, community) in [(IDS[0], "aHVudGVyMg=="), (IDS[1], "gAAAAABk!")] {
        let source = "INSERT INTO alert_source VALUES (?1, '192.0.2.7', 'SNMPv2c', ?2, 161)";
        database.execute(source, [id, community]).expect("a row");
    }
    let task = "INSERT INTO tasks VALUES (1, ?1, 900, 0)";
    database.execute(task, [IDS[0]]).expect("a row");
}

#[test]
fn the_storages_of_delfin_keep_their_ids_and_their_credentials() {
    let setup = setup();
    let file = setup.path("delfin.sqlite");
    delfin_database(&file);
    let host = setup.start();
    let import = |more: &[&str]| {
        let file = file.display().to_string();
        let args = [&["storages", "import", &file, "--json"], more].concat();
        let output = call(&setup, &host, "", &args).expect_exit(1);
        assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
        let rows = output.json()["storages"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let rows = rows.iter().map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            (text("id"), text("result"), text("detail"))
        });
        rows.collect::<Vec<_>>()
    };
    let row = |index: usize, result: &str, detail: &str| {
        (IDS[index].to_owned(), result.to_owned(), detail.to_owned())
    };
    let wrong =
        "the password of `rest` is not in Base64 (does Delfin use another `delfin_cryptor`?)";
    let refused = row(2, "refused", wrong);
    let lost = format!(
        "without its SNMP configuration: `community_string` of the alert source is not in Base64 (does Delfin use \
         another `delfin_cryptor`?) (set it with `delfin-host storages snmp {}`)",
        IDS[1]
    );
    let dry = [
        row(0, "would be imported", "-"),
        row(1, "would be imported", &lost),
        refused.clone(),
    ];
    assert_eq!(import(&["--dry-run"]), dry);
    assert_eq!(host.get("/v1/storages").1["storages"], json!([]));
    let first = [
        row(0, "imported", "-"),
        row(1, "imported", &lost),
        refused.clone(),
    ];
    assert_eq!(import(&[]), first);
    assert_eq!(
        import(&[]),
        [
            row(0, "exists", "-"),
            row(1, "exists", "no driver yet"),
            refused
        ]
    );

    let path = format!("/v1/storages/{}", IDS[0]);
    let (_, config) = host.get(&format!("{path}/metrics-config"));
    assert!(config.to_string().contains("900"), "{config}");
    let (_, snmp) = host.get(&format!("{path}/snmp-config"));
    assert_eq!(snmp["host"], "192.0.2.7", "{snmp}");
    let (_, access) = host.get(&format!("{path}/access-info"));
    assert_eq!(access["rest"]["username"], "u");
    // The storage is asked: its driver works with what was imported.
    host.wait_for("alerts of the storage", || {
        (host.get(&format!("{path}/alerts")).0 == 200).then_some(())
    });
}

#[test]
fn a_dry_run_of_a_table_shows_what_the_import_does() {
    let setup = setup();
    let row = |id: usize, host: &str, rest: &str| {
        format!("{},fake_storage,fake_driver,{host},1,u,p,{rest}\n", IDS[id])
    };
    let table = [
        "id,vendor,model,rest.host,rest.port,rest.username,rest.password,snmp.host,snmp.version,\
         snmp.community_string,snmp.retry_num,labels\n",
        &row(0, "a", "192.0.2.7,SNMPv2c,public,2,site=hk; rack=3"),
        &row(0, "b", ",,,,"),
        &row(1, "a", ",,,,"),
        &row(1, "c", "192.0.2.8,SNMPv2c,public,-1,"),
        &row(2, "d", ",,,,storage_id=x"),
    ];
    setup.write("storages.csv", &table.concat());
    let file = setup.path("storages.csv").display().to_string();
    let host = setup.start();
    let import = |more: &[&str]| {
        let args = [&["storages", "import", &file, "--json"], more].concat();
        let shown = call(&setup, &host, "", &args).expect_exit(1).json();
        let rows = shown["storages"].as_array().cloned().unwrap_or_default();
        let texts = rows.iter().map(|row| {
            let detail = row["detail"].as_str().unwrap_or("-");
            (
                row["result"].as_str().unwrap_or("-").to_owned(),
                detail.to_owned(),
            )
        });
        texts.collect::<Vec<_>>()
    };
    let dry = import(&["--dry-run"]);
    let results: Vec<_> = dry.iter().map(|(result, _)| result.as_str()).collect();
    let valid = "would be imported";
    assert_eq!(
        results,
        [valid, "refused", "refused", valid, "refused"],
        "{dry:?}"
    );
    assert!(dry[1].1.contains("its id is that of"), "{dry:?}");
    assert!(
        dry[2].1.contains(&format!("same storage as `{}`", IDS[0])),
        "{dry:?}"
    );
    assert!(
        dry[3].1.starts_with("without its SNMP configuration: "),
        "{dry:?}"
    );
    assert!(dry[3].1.contains("snmp_config.retry_num"), "{dry:?}");
    assert!(dry[3].1.contains("from 0 to 2147483647"), "{dry:?}");
    assert!(dry[4].1.contains("`storage_id` is a label that"), "{dry:?}");
    let real = import(&[]).into_iter();
    let real: Vec<_> = real
        .map(|(result, detail)| (result.replace("imported", valid), detail))
        .collect();
    assert_eq!(real, dry);
    let path = format!("/v1/storages/{}", IDS[0]);
    let labels = host.get(&format!("{path}/labels")).1;
    assert_eq!(labels["labels"], json!({"site": "hk", "rack": "3"}));
    assert_eq!(
        host.get(&format!("{path}/snmp-config")).1["host"],
        "192.0.2.7"
    );

    setup.write("empty.csv", "");
    let empty = setup.path("empty.csv").display().to_string();
    let empty = call(&setup, &host, "", &["storages", "import", &empty]).expect_exit(1);
    assert!(empty.stderr.contains("it is empty"), "{empty:?}");
}

#[test]
fn the_key_of_the_inventory_is_replaced_with_and_without_a_running_host() {
    let setup = setup();
    let host = setup.start();
    let table = "id,vendor,model,rest.host,rest.port,rest.username,rest.password\n7b0e9d3c-0000-4000-8000-000000000001,fake_storage,fake_driver,h,1,u,hunter2\n";
    setup.write("storages.csv", table);
    let file = setup.path("storages.csv").display().to_string();
    let _ = call(&setup, &host, "", &["storages", "import", &file]).expect_exit(0);
    let key = || std::fs::read(setup.path("state/inventory.key")).expect("a key");
    let first = key();
    let changed = call(&setup, &host, "", &["inventory", "rekey"]).expect_exit(0);
    assert_eq!(changed.stdout, "sealed 1 secret with the new key\n");
    let second = key();
    assert_ne!(first, second);
    host.kill();
    let changed = run(&setup, &["inventory", "rekey", "--json"]).expect_exit(0);
    assert_eq!(changed.json(), json!({ "secrets": 1 }));
    assert_ne!(key(), second);

    let outside = setup.path("outside.key");
    std::fs::copy(setup.path("state/inventory.key"), &outside).expect("a copy");
    std::fs::write(&outside, [7; 32]).expect("a key");
    let named = outside.display().to_string();
    let changed = run(&setup, &["inventory", "rekey", "--key-file", &named]).expect_exit(0);
    assert!(changed.stderr.contains("set `key_file = "), "{changed:?}");
    let config = format!("performance_exporters = []\n[inventory]\nkey_file = \"{named}\"\n");
    let setup = setup.with_config(&config);
    let host = setup.start();
    let (status, storages) = host.get("/v1/storages");
    assert_eq!(
        (status, storages["storages"].as_array().map(Vec::len)),
        (200, Some(1))
    );
    let refused = call(&setup, &host, "", &["inventory", "rekey"]).expect_exit(1);
    assert!(
        refused.stderr.contains("does not write its key"),
        "{refused:?}"
    );
}

#[test]
fn the_configuration_of_delfin_becomes_one_that_the_host_accepts() {
    let setup = setup();
    setup.write(
        "old.conf",
        "[DEFAULT]\nperformance_exporters = PerformanceExporterPrometheus\n[PROMETHEUS_EXPORTER]\nmetric_server_ip = '127.0.0.1'\nmetric_server_port = 8195\n[database]\nconnection = mysql://u:hunter2@h/d\n",
    );
    let old = setup.path("old.conf").display().to_string();
    let imported = run(&setup, &["config", "import", &old]).expect_exit(0);
    assert_eq!(imported.stderr, "");
    assert!(!imported.stdout.contains("hunter2"), "{imported:?}");
    let setup = setup.with_whole_config(&imported.stdout);
    let checked = setup.run(&["check"]);
    // Windows has a folder of plugins next to the program.
    let of_exporter = if runs_windows() {
        "ok      exporter PerformanceExporterPrometheus"
    } else {
        "no plugin offers"
    };
    for line in ["ok      configuration ", of_exporter] {
        assert!(checked.stdout.contains(line), "{checked:?}");
    }
    setup.write("text", "nothing");
    let text = setup.path("text").display().to_string();
    let _ = run(&setup, &["config", "import", &text]).expect_exit(1);
}
