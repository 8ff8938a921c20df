//! A disk that fails to read for a while, under a running host: nothing is lost, and no file is
//! moved aside.
//!
//! A library in front of the C library fails the reads of the host's journals as its file says.

use std::{path::Path, process::Command};

use delfin_tests::{Host, Setup};
use serde_json::{Value, json};

const EXPORTER: &str = "PerformanceExporterScripted";

const CONFIG: &str = r#"
performance_exporters = "PerformanceExporterScripted"
plugin_dirs = ["@/plugins"]
state_dir = "@/state"
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
[memory]
max = "1KiB"
"#;

/// Compiles the library: `make` needs a C compiler too.
fn library(folder: &Path) -> String {
    let library = folder.join("read_errors.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    compiler.arg(&library);
    compiler.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("read_errors.c"));
    let output = compiler.output();
    let output = output.unwrap_or_else(|error| panic!("cannot run `cc`: {error}"));
    assert!(output.status.success(), "{output:?}");
    library.display().to_string()
}

/// Larger than a page, so that each batch is read from the disk.
fn batch(number: i64) -> Value {
    let values = (0..2000).map(|time| (time.to_string(), json!(number * time)));
    let values: serde_json::Map<_, _> = values.collect();
    json!([{ "name": "noise", "labels": {}, "values": values }])
}

/// Sends ten batches: the number of those that were accepted.
fn ingest(host: &Host) -> u64 {
    let accepted = (0..10).filter(|&number| {
        let (status, answer) = host.ingest("performance", &batch(number));
        assert!(matches!(status, 202 | 503), "{status}: {answer}");
        status == 202
    });
    accepted.count() as u64
}

#[test]
fn reads_that_fail_under_a_running_host_lose_nothing() {
    let setup = Setup::new(&["scripted"], "");
    let library = library(&setup.path(""));
    let fault = setup.path("fault").display().to_string();
    let setup = setup
        .with_env("LD_PRELOAD", &library)
        .with_env("DELFIN_READ_FAULT", &fault)
        .with_whole_config(CONFIG);
    let mut accepted = 0;
    let host = setup.start();
    for fault in ["fail", "half", "sometimes", "slow"] {
        setup.write("script", "retry");
        accepted += ingest(&host);
        setup.write("fault", fault);
        setup.write("script", "deliver");
        for _ in 0..5 {
            accepted += ingest(&host);
        }
        setup.write("fault", "");
        host.wait_for_delivered(EXPORTER, accepted * 2000);
    }
    assert!(accepted >= 40);
    let exporter = host.exporter(EXPORTER);
    assert_eq!(
        (&exporter["dropped"], &exporter["pending"]),
        (&json!(0), &json!(0)),
        "{exporter}"
    );
    let aside = setup
        .content()
        .into_iter()
        .find(|path| path.display().to_string().contains(".corrupt"));
    assert_eq!(aside, None);
    let (status, log) = host.stop();
    assert!(
        status.success() && !log.contains("damaged and was moved"),
        "{log}"
    );
}
