//! Libraries whose constructors crash, exit or hang.

use std::{fs, path::Path, time::Duration};

use delfin_plugin_loader::{Catalog, Probe, Reason, check, find, inspect, open};

use crate::lab::{Lab, assert_line, example, good_manifest, prober};

/// C code that runs when the library is opened, and adds a line to `trace`.
fn constructor(trace: &Path, then: &str) -> String {
    format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void start(void) {{\n\
             FILE *trace = fopen(\"{}\", \"a\");\n\
             fputs(\"ran\\n\", trace);\n\
             fclose(trace);\n\
             {then}\n\
         }}",
        trace.display()
    )
}

fn runs(trace: &Path) -> usize {
    fs::read_to_string(trace).map_or(0, |text| text.lines().count())
}

#[test]
fn finding_inspecting_checking_and_cataloguing_run_no_code_of_a_plugin() {
    let lab = Lab::new();
    let trace = lab.outside("trace");
    let path = lab.tiny("tiny.so", &good_manifest(), &constructor(&trace, ""));
    let (found, _) = find(&[lab.plugins()]);
    let plugin = inspect(&found[0]).unwrap();
    check(&plugin).unwrap();
    let catalog = Catalog::new(vec![plugin]);
    catalog.entry("Tiny", None).unwrap();
    assert_eq!(runs(&trace), 0);
    // The constructor does run once the library is opened.
    assert_eq!(lab.refused(&path), Reason::NoRootModule);
    assert_eq!(runs(&trace), 1);
}

/// Opens a library with this constructor twice, and checks that both errors are the same.
/// Returns the reason, and how often the constructor ran.
fn opened_twice(then: &str, timeout: Duration) -> (Reason, usize) {
    let lab = Lab::new();
    let trace = lab.outside("trace");
    let path = lab.tiny("tiny.so", &good_manifest(), &constructor(&trace, then));
    let plugin = inspect(&path).unwrap();
    let mut options = lab.options();
    options.probe = Probe::Command {
        program: prober().to_owned(),
        args: Vec::new(),
        timeout,
    };
    let [one, two] = [(); 2].map(|()| open(&plugin, &options).unwrap_err());
    assert_eq!(one, two);
    assert_line(&one);
    (one.reason, runs(&trace))
}

#[test]
fn a_constructor_that_crashes_is_named_by_its_signal() {
    for (then, name) in [
        ("*(volatile int *)0 = 0;", "SIGSEGV"),
        ("abort();", "SIGABRT"),
    ] {
        let (reason, runs) = opened_twice(then, Probe::TIMEOUT);
        assert_eq!(runs, 1);
        assert!(
            matches!(&reason, Reason::ConstructorCrashed { signal, .. } if signal == name),
            "{reason}"
        );
        let text = reason.to_string();
        assert!(
            text.contains(&format!("its constructor crashed ({name})")),
            "{text}"
        );
    }
}

#[test]
fn a_constructor_that_ends_the_process_is_named_by_the_exit_code() {
    for (then, exit_code) in [("exit(3);", 3), ("exit(0);", 0), ("_exit(0);", 0)] {
        let (reason, runs) = opened_twice(then, Probe::TIMEOUT);
        assert_eq!(runs, 1);
        assert!(
            matches!(reason, Reason::ConstructorExited { code, .. } if code == exit_code),
            "{reason}"
        );
    }
}

#[test]
fn a_constructor_that_does_not_return_is_killed() {
    let (reason, runs) = opened_twice("for (;;) pause();", Duration::from_millis(300));
    assert!(runs <= 4, "two attempts each: {runs}");
    assert!(
        matches!(reason, Reason::ConstructorHangs { .. }),
        "{reason}"
    );
    assert!(reason.to_string().contains("does not return"));
}

#[test]
fn a_constructor_that_hung_once_is_tried_again_and_not_recorded() {
    let lab = Lab::new();
    let plugin = inspect(&lab.copy_of(example())).unwrap();
    let mut options = lab.options();
    let probe = |script: &str| Probe::Command {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        timeout: Duration::from_millis(300),
    };
    options.probe = probe("exec sleep 600");
    let error = open(&plugin, &options).unwrap_err();
    assert!(
        matches!(error.reason, Reason::ConstructorHangs { .. }),
        "{error}"
    );
    let hung = lab.outside("hung");
    let once = format!(
        "[ -e '{0}' ] && echo delfin-probe: survived && exit; touch '{0}'; exec sleep 600",
        hung.display()
    );
    options.probe = probe(&once);
    if let Probe::Command { timeout, .. } = &mut options.probe {
        *timeout = Duration::from_secs(5);
    }
    open(&plugin, &options).unwrap();
    assert!(hung.exists());
}

#[test]
fn a_plugin_is_probed_again_once_its_record_is_removed() {
    let lab = Lab::new();
    let trace = lab.outside("trace");
    let path = lab.tiny(
        "tiny.so",
        &good_manifest(),
        &constructor(&trace, "abort();"),
    );
    let plugin = inspect(&path).unwrap();
    let mut options = lab.options();
    options.probe = Probe::command(prober(), [""; 0]);
    let error = open(&plugin, &options).unwrap_err();
    let Reason::ConstructorCrashed { record, .. } = error.reason else {
        panic!("{error}");
    };
    fs::remove_file(record).unwrap();
    open(&plugin, &options).unwrap_err();
    assert_eq!(runs(&trace), 2);
}

#[test]
fn a_good_plugin_is_probed_once_and_opened() {
    let lab = Lab::new();
    let plugin = inspect(&lab.copy_of(example())).unwrap();
    let mut options = lab.options();
    options.probe = Probe::command(prober(), [""; 0]);
    open(&plugin, &options).unwrap();
    // This probe cannot start, so opening succeeds only without a probe.
    options.probe = Probe::command("/no/such/program", [""; 0]);
    open(&plugin, &options).unwrap();
}

#[test]
fn an_error_that_the_probe_survives_is_reported_by_open() {
    let lab = Lab::new();
    let plugin = inspect(&lab.tiny("tiny.so", &good_manifest(), "")).unwrap();
    let mut options = lab.options();
    options.probe = Probe::command(prober(), [""; 0]);
    let error = open(&plugin, &options).unwrap_err();
    let known = Reason::NoRootModule.at(&plugin.path);
    assert_eq!(error.to_string(), known.to_string());
    // It is not stored: its cause may be outside the file.
    options.probe = Probe::None;
    assert_eq!(open(&plugin, &options).unwrap_err(), known);
}

#[test]
fn a_probe_that_is_killed_from_outside_leaves_no_result() {
    let lab = Lab::new();
    let plugin = inspect(&lab.copy_of(example())).unwrap();
    let mut options = lab.options();
    options.probe = Probe::command("sh", ["-c", "kill -TERM $$"]);
    let error = open(&plugin, &options).unwrap_err();
    assert!(
        matches!(error.reason, Reason::ProbeFailed { .. }),
        "{error}"
    );
    options.probe = Probe::command(prober(), [""; 0]);
    open(&plugin, &options).unwrap();
}
