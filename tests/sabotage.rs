//! What a plugin can do to its process, in process mode: the host and the other exporters go
//! on, nothing is lost, the log names the exporter and the cause, and the host stops with no
//! process left over.
//!
//! Each sabotage is done by an exporter of its own, once. One host runs many of them.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use delfin_tests::{Host, Setup};
use serde_json::json;

/// A sabotage, the call that does it, and what the log says of it. An empty text means that
/// the log need not say anything, because only the process itself notices.
type Row = (&'static str, &'static str, &'static str);

const ENDS: [Row; 39] = [
    ("abort", "create", "died: SIGABRT, in a call to create"),
    ("abort", "export", "died: SIGABRT, in a call of `export` of"),
    ("abort", "tick", "died: SIGABRT, in a call of `tick`"),
    ("abort", "close", "died: SIGABRT, in a call of `close`"),
    (
        "abort",
        "drop",
        "while exiting, the exporter process died: SIGABRT",
    ),
    ("segfault", "export", "died: SIGSEGV"),
    ("exit", "create", "exit code 0, in a call to create"),
    ("exit", "export", "exit code 0, in a call of `export` of"),
    ("exit", "tick", "exit code 0, in a call of `tick`"),
    ("exit-at-once", "export", "ended with exit code 3"),
    ("thread-abort", "export", "died: SIGABRT"),
    ("thread-segfault", "create", "died: SIGSEGV"),
    ("thread-raise", "export", "died: SIGFPE"),
    ("thread-exit", "export", "ended with exit code 7"),
    // Between two calls, or in a later one.
    ("alarm", "export", "died: SIGALRM"),
    ("thread-destructor", "export", "died: SIGABRT"),
    ("double-panic", "export", "died: SIGABRT"),
    (
        "double-panic",
        "drop",
        "while exiting, the exporter process died: SIGABRT",
    ),
    ("stack-overflow", "export", "died: SIGABRT"),
    (
        "stack-overflow",
        "drop",
        "while exiting, the exporter process died: SIGABRT",
    ),
    ("memory", "export", "died: SIGABRT"),
    ("leak-1g", "export", "died: SIGABRT"),
    ("raise-kill", "export", "died: SIGKILL"),
    ("raise-term", "export", "died: SIGTERM"),
    ("kill-group", "export", "died: SIGTERM"),
    ("kill-group-of-host", "export", ""),
    ("call-nothing", "export", "died: SIGKILL"),
    ("write-no-files", "export", "died: SIGXFSZ"),
    ("use-up-time", "export", "died: SIGKILL"),
    ("print-and-exit", "export", "lines of output left out"),
    ("write-half-and-die", "export", "died: SIGKILL"),
    ("write-on-and-abort", "export", "died: SIGABRT"),
    ("delete-library-and-abort", "export", "died: SIGABRT"),
    (
        "abort-at-exit",
        "export",
        "while exiting, the exporter process died: SIGABRT",
    ),
    ("replace-itself", "export", "it closed its connection"),
    ("fork-and-abort", "export", "died: SIGABRT"),
    ("fork-away-and-abort", "export", "died: SIGABRT"),
    ("fork-many-and-exit", "export", "ended with exit code 9"),
    ("none", "constructor", "died: SIGABRT, in a call to create"),
];

const HANGS: [Row; 21] = [
    (
        "hang",
        "create",
        "a call to create an instance is past its deadline",
    ),
    ("hang", "export", "stuck: a call of `export` of"),
    ("hang", "tick", "a call of `tick` is past its deadline"),
    ("hang", "close", "a call of `close` is past its deadline"),
    ("hang", "drop", "the plugin does not drop its instance"),
    ("hang-without-term", "export", "is past its deadline of 3s"),
    (
        "hang-without-signals",
        "export",
        "is past its deadline of 3s",
    ),
    (
        "hang-without-signals",
        "close",
        "is past its deadline of 3s",
    ),
    ("hang-as-no-one", "export", "is past its deadline of 3s"),
    (
        "hang-in-group-of-host",
        "export",
        "is past its deadline of 3s",
    ),
    ("loop", "export", "is past its deadline of 3s"),
    ("stop-itself", "export", "is past its deadline of 3s"),
    ("stop-itself", "drop", ""),
    ("ignore-signals", "export", ""),
    ("block-signals", "export", ""),
    ("handle-signals", "export", ""),
    ("outlive", "export", ""),
    ("outlive", "drop", ""),
    ("hang-at-exit", "export", ""),
    ("fork", "export", ""),
    ("fork-away", "export", ""),
];

const CHANGES: [Row; 34] = [
    ("close-descriptors", "export", "the exporter process"),
    ("close-standard", "export", ""),
    ("use-up-descriptors", "export", "Too many open files"),
    ("no-open-files", "export", "Too many open files"),
    ("change-folder", "export", ""),
    ("umask", "export", ""),
    ("become-no-one", "export", ""),
    ("interrupt", "export", ""),
    ("signal-host", "export", ""),
    ("trace-host", "export", ""),
    ("forge-log", "export", "forged"),
    ("log-without-end", "export", "without end"),
    ("send-descriptors", "export", ""),
    (
        "write-garbage",
        "export",
        "was ended: a frame has a header of",
    ),
    (
        "write-long-header",
        "tick",
        "was ended: a frame has a header of",
    ),
    (
        "write-part",
        "export",
        "was ended: a frame has a payload of",
    ),
    (
        "write-other-json",
        "create",
        "the exporter process was ended",
    ),
    ("write-unknown", "export", ""),
    ("write-outcomes", "export", ""),
    ("read-connection", "export", ""),
    ("close-connection", "export", "the exporter process"),
    ("fill-stderr", "export", "output: line 0 xxx"),
    ("fill-stdout", "export", "output: line 0 xxx"),
    ("long-line", "export", "output: long xxx"),
    ("long-log", "export", "too long ttt"),
    ("many-logs", "export", "many 0 mmm"),
    ("many-counts", "export", ""),
    ("long-message", "export", "retrying: mmm"),
    ("long-message", "create", "cannot start: mmm"),
    ("long-message", "close", "close failed: mmm"),
    ("long-reasons", "export", "retrying: "),
    ("many-rows", "export", "retrying: "),
    ("rows-overflow", "export", "retrying: "),
    ("none", "export", ""),
];

/// What a host may log of one event, in bytes: a record of a plugin, and what the host adds.
const MAX_LINE: usize = (64 << 10) + 1024;

/// Two exporters that do their work, in the host and in a process.
const WITNESSES: [&str; 2] = ["witness-thread", "witness-process"];

fn name(&(word, at, _): &Row) -> String {
    // The constructor of the library knows its exporter by this name.
    if at == "constructor" {
        at.to_owned()
    } else {
        format!("{word}-{at}")
    }
}

fn setup(sabotages: &[Row]) -> Setup {
    let names: Vec<String> = WITNESSES
        .map(str::to_owned)
        .into_iter()
        .chain(sabotages.iter().map(name))
        .collect();
    let mut config = format!(
        "performance_exporters = {}\n[shutdown]\ndrain_timeout = \"10s\"\n",
        json!(names)
    );
    for witness in WITNESSES {
        let isolation = witness.trim_start_matches("witness-");
        config += &format!(
            "[exporter.{witness}]\nplugin = \"PerformanceExporterFile\"\nisolation = \"{isolation}\"\n\
             [exporter.{witness}.config]\npath = \"@/{witness}\"\n"
        );
    }
    for row in sabotages {
        let (name, (word, at, _)) = (name(row), row);
        // A call that should return has time for it on a busy machine.
        let hangs = ["hang", "loop", "stop-itself"];
        let hangs = hangs.iter().any(|begin| word.starts_with(begin));
        let timeout = if hangs { "3s" } else { "60s" };
        config += &format!(
            "[exporter.{name}]\nplugin = \"PerformanceExporterSaboteur\"\nisolation = \"process\"\n\
             timeout = \"{timeout}\"\nlimits.memory = \"256MiB\"\nlimits.open_files = 200\n\
             retry.initial_interval = \"20ms\"\nretry.max_interval = \"100ms\"\n\
             [exporter.{name}.config]\nword = \"{word}\"\nat = \"{at}\"\nrows = \"@/{name}\"\n"
        );
    }
    let setup = Setup::new(&["file", "scripted"], &config);
    // A process that has become another user can still write its rows.
    open_to_all(&setup.path(""), 0o755);
    for row in sabotages {
        setup.write(&name(row), "");
        open_to_all(&setup.path(&name(row)), 0o666);
    }
    let temporary = setup.path("tmp");
    fs::create_dir(&temporary).expect("make a folder");
    setup.with_env("TMPDIR", temporary.to_str().expect("UTF-8"))
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set a mode");
}

fn ingest(host: &Host, name: &str) {
    let labels = json!({ "storage_id": "s1", "resource_type": "disk", "resource_id": "d" });
    let batch = json!([{ "name": name, "labels": labels, "values": { "1700000000000": 1.5 } }]);
    let (status, receipt) = host.ingest("performance", &batch);
    assert_eq!(status, 202, "{receipt}");
}

/// What a sabotage of the host's own process would change.
fn state_of(host: &Host) -> Vec<String> {
    let process = format!("/proc/{}", host.pid());
    let read =
        |file: &str| fs::read_to_string(format!("{process}/{file}")).expect("a file of the host");
    let changeable = ["Uid:", "Gid:", "Umask:", "SigBlk:", "SigIgn:", "SigCgt:"];
    let status = read("status");
    let status = status
        .lines()
        .filter(|line| changeable.iter().any(|key| line.starts_with(key)));
    let folder = fs::read_link(format!("{process}/cwd")).expect("a folder");
    let mut state: Vec<String> = status.map(str::to_owned).collect();
    state.extend([read("limits"), folder.display().to_string()]);
    state
}

fn descriptors(host: &Host) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", host.pid()));
    open.expect("a folder").count()
}

/// The processes that have their environment from a host of this test, and are not zombies.
fn processes(setup: &Setup) -> BTreeSet<String> {
    let mark = format!("TMPDIR={}", setup.path("tmp").display());
    let entries = fs::read_dir("/proc").expect("a folder").flatten();
    let marked = entries.filter(|entry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    });
    marked
        .map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            format!("{} {}", entry.file_name().display(), name.trim())
        })
        .collect()
}

/// Whether a line of the log names the exporter.
fn is_of(line: &str, exporter: &str) -> bool {
    let name = format!("exporter={exporter}");
    line.split(' ').any(|word| word == name)
}

fn assert_said(host_log: &str, row: &Row) {
    let (name, said) = (name(row), row.2);
    let lines = host_log.lines().filter(|line| is_of(line, &name));
    let lines: Vec<&str> = lines.collect();
    assert!(
        said.is_empty() || lines.iter().any(|line| line.contains(said)),
        "nothing says `{said}` of {name}: {lines:#?}"
    );
}

fn prove(sabotages: &[Row]) {
    let setup = setup(sabotages);
    let host = setup.start();
    let (before, descriptors_before) = (state_of(&host), descriptors(&host));
    let mut sent = Vec::new();
    for number in 0..4 {
        sent.push(format!("row-{number}"));
        ingest(&host, &sent[number]);
        // The witnesses deliver while the others are being ended and started.
        for witness in WITNESSES {
            host.wait_for_delivered(witness, sent.len() as u64);
        }
    }
    for row in sabotages {
        let name = name(row);
        if !matches!(row.1, "close" | "drop") && row.0 != "none" {
            let done = setup.path("state/exporters").join(&name).join("done");
            host.wait_for(&format!("sabotage {name}"), || done.exists().then_some(()));
        }
    }
    if sabotages.iter().any(|row| row.0 == "alarm") {
        // This process dies a moment after its call.
        host.wait_for_log("died: SIGALRM");
    }
    // By a delivery, an instance proves that it works.
    sent.push("last".to_owned());
    ingest(&host, "last");
    for row in sabotages {
        let name = name(row);
        let view = host.wait_for_exporter(&name, "running with nothing pending", |view| {
            view["pending"] == 0 && view["state"] == "running"
        });
        assert_eq!(view["delivered"], sent.len(), "{view}");
        let arrived: BTreeSet<String> = setup.lines(&name).into_iter().collect();
        let expected: BTreeSet<String> = sent.iter().map(|name| format!("s1 {name} 1")).collect();
        assert_eq!(arrived, expected, "{name}");
    }
    assert_eq!(state_of(&host), before);
    // Fewer than one sabotage sends, and more than processes and clients need.
    assert!(descriptors(&host) < descriptors_before + 500);
    let (status, log) = host.stop();
    assert!(status.success(), "{status}\n{log}");
    for row in sabotages {
        assert_said(&log, row);
    }
    let forged = |line: &&str| line.starts_with("forged") || is_of(line, "witness-process");
    let forged: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("forged"))
        .filter(forged)
        .collect();
    assert!(forged.is_empty(), "{forged:#?}");
    if let Some(long) = log.lines().find(|line| line.len() > MAX_LINE) {
        panic!("a line has {} bytes: {}", long.len(), &long[..1000]);
    }
    let left = processes(&setup);
    assert!(left.is_empty(), "left over: {left:?}");
}

#[test]
fn a_process_that_ends_harms_no_other() {
    prove(&ENDS);
}

#[test]
fn a_process_that_does_not_end_harms_no_other() {
    prove(&HANGS);
}

#[test]
fn a_process_that_disturbs_its_surroundings_harms_no_other() {
    prove(&CHANGES);
}

#[test]
fn five_replacements_leave_nothing_of_the_old_plugins() {
    let row = ("log-on", "create", "");
    let (setup, name) = (setup(&[row]), name(&row));
    let host = setup.start();
    let said = |pid: &str| host.log().matches(&format!("number={pid}\n")).count();
    let mut pids = Vec::new();
    for round in 0..6 {
        ingest(&host, &format!("row-{round}"));
        for exporter in WITNESSES.iter().chain([&&*name]) {
            host.wait_for_delivered(exporter, round + 1);
        }
        let pid = host.exporter(&name)["pid"].to_string();
        host.wait_for("a log of the process", || (said(&pid) > 0).then_some(()));
        pids.push(pid);
        if round < 5 {
            // The next process does it again.
            let done = setup.path("state/exporters").join(&name).join("done");
            fs::remove_file(done).expect("remove a mark");
            setup.change_plugin("scripted");
            let output = setup.run(&["reload", "--json", "--host", host.url()]);
            assert_eq!(output.expect_exit(0).json()["changed"], json!([name]));
        }
    }
    let [old @ .., last] = &pids[..] else {
        panic!("no processes")
    };
    let before: Vec<usize> = old.iter().map(|pid| said(pid)).collect();
    let logged = said(last);
    host.wait_for("more of the last process", || {
        (said(last) > logged + 3).then_some(())
    });
    for (pid, before) in old.iter().zip(before) {
        assert_eq!(said(pid), before, "{pid} still logs");
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} is left"
        );
    }
    // The host, a witness, and the last process.
    assert_eq!(processes(&setup).len(), 3, "{:?}", processes(&setup));
    let maps = fs::read_to_string(format!("/proc/{}/maps", host.pid())).expect("a file");
    assert!(!maps.contains("scripted"), "the host has mapped the plugin");
    assert!(host.stop().0.success());
}
