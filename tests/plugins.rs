//! Invalid plugin files: each is reported in one line, and none stops the host or a valid plugin.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use delfin_tests::{Host, Setup, plugin, plugin_file, plugin_file::patch};
use serde_json::{Value, json};

const GOOD: &str = r#"
performance_exporters = ["PerformanceExporterFile"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
"#;

fn ingest(host: &Host) {
    let batch = json!([{ "name": "iops", "labels": {}, "values": { "1": 1, "2": 2 } }]);
    let (status, answer) = host.ingest("performance", &batch);
    assert_eq!(status, 202, "{answer}");
}

/// A copy of the example plugin under another name, which has no other exporters
/// than its own.
fn copy(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    fs::copy(plugin("example"), &file).expect("copy a plugin");
    fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("set its mode");
    file
}

/// Makes one file of each kind that is refused: the name and the reason of each.
fn fill(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let write = |name, content: &[u8]| fs::write(folder.join(name), content).expect("write a file");
    write("empty.so", b"");
    write("text.so", b"PerformanceExporterFile\n");
    let whole = fs::read(plugin("example")).expect("read a plugin");
    write("truncated.so", &whole[..whole.len() / 2]);
    plugin_file::compile(&folder.join("no-plugin.so"), "int nothing;");
    fs::create_dir(folder.join("directory.so")).expect("make a folder");
    symlink("/nowhere/at/all.so", folder.join("dangling.so")).expect("make a link");
    let foreign = copy(folder, "foreign.so");
    // `e_machine` comes after the type of the file: a shared library has 3.
    patch(&foreign, &whole[16..20], &[3, 0, 0xf3, 0]);
    patch(&copy(folder, "malformed.so"), br#"{"abi":"#, br#"{"abi";"#);
    let unwind = (br#""panic":"unwind""#, br#""panic":"abort" "#);
    patch(&copy(folder, "abort.so"), unwind.0, unwind.1);
    let loose = copy(folder, "loose.so");
    fs::set_permissions(loose, Permissions::from_mode(0o777)).expect("set a mode");
    let newer = (b"GLIBC_2.2.5", b"GLIBC_9.8.7");
    patch(&copy(folder, "newer-glibc.so"), newer.0, newer.1);
    patch(
        &copy(folder, "other-major.so"),
        br#""abi":"1."#,
        br#""abi":"7."#,
    );
    vec![
        ("empty.so", "is empty"),
        ("text.so", "is not a shared library"),
        ("truncated.so", "is truncated"),
        ("no-plugin.so", "has no manifest"),
        ("directory.so", "is a directory"),
        (
            "dangling.so",
            "is a link to `/nowhere/at/all.so`, which does not exist",
        ),
        ("foreign.so", "was built for riscv64"),
        ("malformed.so", "has a malformed manifest"),
        ("abort.so", "was built with `panic = \"abort\"`"),
        ("loose.so", "can be changed by other users"),
        ("newer-glibc.so", "needs glibc 9.8.7"),
        ("other-major.so", "was built for plugin interface 7."),
    ]
}

/// The only line that names a file.
fn line<'a>(lines: &[&'a str], file: &str, reason: &str) -> &'a str {
    let naming: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| line.contains(file))
        .collect();
    let [line] = naming[..] else {
        panic!("`{file}` is named by {naming:?} of {lines:#?}");
    };
    assert!(line.contains(reason), "`{reason}` is not in: {line}");
    line
}

#[test]
fn each_bad_file_is_one_line_and_the_good_plugin_delivers() {
    let setup = Setup::new(&["file"], GOOD);
    let bad = fill(&setup.path("plugins"));
    let host = setup.start();
    ingest(&host);
    host.wait_for_delivered("PerformanceExporterFile", 2);

    let log = host.log();
    let lines: Vec<&str> = log.lines().collect();
    let (_, answer) = host.get("/v1/plugins");
    let refused = refused(&answer, "plugins", "refused");
    assert_eq!(refused.len(), bad.len(), "{answer:#}");
    for (file, reason) in &bad {
        let logged = line(&lines, file, reason);
        assert!(logged.contains(" WARN "), "{logged}");
        line(&views(&refused), file, reason);
    }
}

#[test]
fn plugins_list_names_each_bad_file_as_text_and_as_json() {
    let setup = Setup::new(&["file"], GOOD);
    let bad = fill(&setup.path("plugins"));
    let list = setup.run(&["plugins", "list"]).expect_exit(0);
    assert_eq!(list.stderr, "");
    let lines: Vec<&str> = list.stdout.lines().collect();
    let sum = format!("2 exporters in 1 plugin, {} refused", bad.len());
    assert_eq!(lines.last(), Some(&&*sum), "{}", list.stdout);
    let listing = setup
        .run(&["plugins", "list", "--json"])
        .expect_exit(0)
        .json();
    let refused = refused(&listing, "refused", "reason");
    for (file, reason) in bad {
        line(&lines, file, reason);
        line(&views(&refused), file, reason);
        let file = format!("plugins/{file}");
        let inspected = setup.run(&["plugins", "inspect", &file]).expect_exit(1);
        assert!(inspected.stderr.contains(reason), "{inspected:?}");
        assert_eq!(inspected.stderr.lines().count(), 1, "{inspected:?}");
    }
}

fn refused(answer: &Value, list: &str, reason: &str) -> Vec<String> {
    let files = answer[list].as_array().expect("a list").iter();
    let refused = files.filter_map(|file| file[reason].as_str());
    refused.map(str::to_owned).collect()
}

fn views(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn a_failing_constructor_affects_only_its_own_exporter() {
    let setup = Setup::new(
        &["file"],
        r#"
performance_exporters = ["PerformanceExporterFile", "Crashes", "Exits", "Hangs", "Own"]
[exporter.PerformanceExporterFile.config]
path = "@/out.jsonl"
[exporter.Crashes]
isolation = "thread"
[exporter.Exits]
isolation = "thread"
[exporter.Hangs]
isolation = "thread"
timeout = "1s"
[exporter.Own]
isolation = "process"
"#,
    );
    let bad = [
        (
            "Crashes",
            "abort();",
            "is unusable: while it was opened, the exporter process died: SIGABRT",
        ),
        (
            "Exits",
            "exit(0);",
            "is unusable: while it was opened, the exporter process ended with exit code 0",
        ),
        (
            "Hangs",
            "for (;;) pause();",
            "is unusable: it does not open within 6s",
        ),
    ];
    let own = setup.path("plugins/own.so");
    let code = plugin_file::constructor("abort();");
    plugin_file::compile(&own, &plugin_file::with_manifest("Own", &code));
    for (exporter, code, _) in bad {
        let file = setup.path("plugins").join(format!("{exporter}.so"));
        let code = plugin_file::constructor(code);
        plugin_file::compile(&file, &plugin_file::with_manifest(exporter, &code));
    }
    let host = setup.start();
    ingest(&host);
    host.wait_for_delivered("PerformanceExporterFile", 2);
    // A process is its own probe.
    host.wait_for_exporter("Own", "its process to end", |exporter| {
        let error = exporter["last_error"].as_str().unwrap_or_default();
        error.contains("the exporter process died: SIGABRT")
    });
    let (_, answer) = host.get("/v1/plugins");
    let refused = refused(&answer, "plugins", "refused");
    assert_eq!(refused.len(), bad.len(), "{answer:#}");
    for (exporter, _, reason) in bad {
        let failed = host.exporter(exporter);
        let state = (&failed["state"], &failed["pending"]);
        assert_eq!(state, (&json!("failed"), &json!(2)), "{failed}");
        let error = failed["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(reason), "{error}");
        line(&views(&refused), &format!("{exporter}.so"), reason);
        let log = host.log();
        let errors = log.lines().filter(|line| line.contains(" ERROR "));
        line(
            &errors.collect::<Vec<_>>(),
            &format!("{exporter}.so"),
            reason,
        );
    }
}

#[test]
fn listing_and_inspecting_run_no_code_of_a_plugin() {
    let config = "performance_exporters = \"Tiny\"";
    let setup = Setup::new(&[], config);
    let trace = setup.path("trace");
    let code = format!("fclose(fopen(\"{}\", \"a\"));", trace.display());
    let code = plugin_file::with_manifest("Tiny", &plugin_file::constructor(&code));
    plugin_file::compile(&setup.path("plugins/tiny.so"), &code);
    for args in [
        &["plugins", "list"][..],
        &["plugins", "inspect", "plugins/tiny.so"],
    ] {
        let output = setup.run(args).expect_exit(0);
        assert!(output.stdout.contains("Tiny"), "{output:?}");
        assert!(!trace.exists(), "{args:?} runs code of the plugin");
    }
    // The constructor does run when the library is opened.
    let _ = setup.run(&["check"]).expect_exit(3);
    assert!(trace.exists());
}

#[test]
fn of_two_files_the_higher_version_wins_and_a_warning_names_both() {
    let config = r#"
performance_exporters = "PerformanceExporterScripted"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
"#;
    let setup = Setup::new(&["scripted"], config);
    let newer = setup.path("plugins/newer.so");
    fs::copy(plugin("scripted"), &newer).expect("copy a plugin");
    fs::set_permissions(&newer, Permissions::from_mode(0o755)).expect("set its mode");
    let (version, higher) = (br#""version":"0.1.0""#, br#""version":"0.1.1""#);
    patch(&newer, version, higher);

    let host = setup.start();
    let lines = host.log();
    let warning = "exporter `PerformanceExporterScripted` is offered by";
    let log: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains(warning))
        .collect();
    let [log] = log[..] else {
        panic!("{lines}");
    };
    for part in [
        "newer.so` 0.1.1",
        "scripted.so` 0.1.0",
        "newer.so` is used",
        " WARN ",
    ] {
        assert!(log.contains(part), "{log}");
    }
    ingest(&host);
    host.wait_for_delivered("PerformanceExporterScripted", 2);
    let version = |host: &Host| {
        let metrics = host.metrics();
        let info = metrics
            .samples()
            .iter()
            .find(|sample| sample.name == "delfin_host_exporter_info");
        info.map(|info| info.labels.clone()).unwrap_or_default()
    };
    assert!(version(&host).contains("0.1.1"), "{}", version(&host));
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");

    let table = "[exporter.PerformanceExporterScripted";
    let library = format!("{table}]\nlibrary = \"libdelfin_exporter_scripted.so\"\n{table}.");
    let config = config.replace(&format!("{table}."), &library);
    let setup = setup.with_config(&config);
    let host = setup.start();
    assert!(version(&host).contains("0.1.0"), "{}", version(&host));
}
