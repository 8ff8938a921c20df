//! Libraries whose constructors do what a constructor should not.

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
    catalog.offer("Tiny", None).unwrap();
    assert_eq!(runs(&trace), 0);
    // Otherwise the constructor proves nothing.
    assert_eq!(lab.refused(&path), Reason::NoRootModule);
    assert_eq!(runs(&trace), 1);
}

/// Opens a library with that constructor, twice, which is refused for the same
/// reason. Says how often the constructor ran.
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
fn a_constructor_that_does_not_return_is_ended() {
    let (reason, _) = opened_twice("for (;;) pause();", Duration::from_millis(300));
    assert!(
        matches!(reason, Reason::ConstructorHangs { .. }),
        "{reason}"
    );
    assert!(reason.to_string().contains("does not return"));
}

#[test]
fn a_record_that_is_removed_has_the_plugin_tried_again() {
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
    let refusal = open(&plugin, &options).unwrap_err();
    let Reason::ConstructorCrashed { record, .. } = refusal.reason else {
        panic!("{refusal}");
    };
    fs::remove_file(record).unwrap();
    open(&plugin, &options).unwrap_err();
    assert_eq!(runs(&trace), 2);
}

#[test]
fn a_good_plugin_is_tried_once_and_opened() {
    let lab = Lab::new();
    let plugin = inspect(&lab.copy_of(example())).unwrap();
    let mut options = lab.options();
    options.probe = Probe::command(prober(), [""; 0]);
    open(&plugin, &options).unwrap();
    // A trial that cannot even begin shows that none is made.
    options.probe = Probe::command("/no/such/program", [""; 0]);
    open(&plugin, &options).unwrap();
}

#[test]
fn what_a_trial_refuses_is_refused_with_the_reason_itself() {
    let lab = Lab::new();
    let plugin = inspect(&lab.tiny("tiny.so", &good_manifest(), "")).unwrap();
    let mut options = lab.options();
    options.probe = Probe::command(prober(), [""; 0]);
    let refusal = open(&plugin, &options).unwrap_err();
    assert_eq!(refusal, Reason::NoRootModule.of(&plugin.path));
}

#[test]
fn a_trial_that_is_ended_from_outside_says_nothing_of_the_plugin() {
    let lab = Lab::new();
    let plugin = inspect(&lab.copy_of(example())).unwrap();
    let mut options = lab.options();
    options.probe = Probe::command("sh", ["-c", "kill -TERM $$"]);
    let refusal = open(&plugin, &options).unwrap_err();
    assert!(
        matches!(refusal.reason, Reason::ProbeFailed { .. }),
        "{refusal}"
    );
    options.probe = Probe::command(prober(), [""; 0]);
    open(&plugin, &options).unwrap();
}
