//! Plugins that panic, hang, return invalid outcomes, leak, or crash the host.

use delfin_plugin_api::Kind;
use delfin_tests::Host;
use serde_json::Value;

use crate::{
    accounting,
    producer::{Producer, Shape},
    random,
    testbed::{Testbed, TestbedBuilder},
    watch::Watch,
};

const SCRIPTED: &str = "scripted";

/// In a thread, where the host itself has to contain what the plugin does. `tests/process.rs`
/// is about plugins in processes.
const IN_A_THREAD: &str = "isolation = \"thread\"\ntimeout = \"200ms\"";

fn testbed(plugin: &str) -> Testbed {
    TestbedBuilder::default()
        .scripted(SCRIPTED, plugin, IN_A_THREAD)
        .hook("hook", Kind::Performance, "")
        .file("file", Kind::Performance)
        .hook("alerts", Kind::Alert, "")
        .build()
}

/// Waits until the other exporters have nothing pending.
fn wait_for_the_others(testbed: &Testbed, host: &Host) {
    let others = testbed
        .exporters
        .iter()
        .filter(|exporter| exporter.name != SCRIPTED);
    testbed.wait_until_idle(host, others);
}

fn wait_for_state(host: &Host, state: &str) -> Value {
    host.wait_for_exporter(SCRIPTED, state, |view| view["state"] == state)
}

fn assert_all_rows_are_pending(view: &Value) {
    for count in ["delivered", "dead_lettered", "dropped", "filtered"] {
        assert_eq!(view[count], 0, "{view}");
    }
    assert_ne!(view["pending"], 0, "{view}");
}

#[test]
fn a_plugin_that_panics_repeatedly_is_quarantined_and_its_rows_are_kept() {
    let testbed = testbed("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    testbed.script(SCRIPTED, "panic");
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 10);
    let view = wait_for_state(&host, "quarantined");
    assert_all_rows_are_pending(&view);
    wait_for_the_others(&testbed, &host);
    producer.send(&host, 10);
    wait_for_the_others(&testbed, &host);
    watch.finish();
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");

    testbed.script(SCRIPTED, "leak");
    let host = testbed.setup.start();
    accounting::assert_all_delivered(&testbed, &host, &producer);
}

#[test]
fn a_plugin_that_hangs_is_quarantined_and_resumes_when_its_call_returns() {
    let testbed = testbed("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    testbed.script(SCRIPTED, "hang");
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 10);
    let view = wait_for_state(&host, "quarantined");
    assert_all_rows_are_pending(&view);
    producer.send(&host, 10);
    wait_for_the_others(&testbed, &host);
    testbed.script(SCRIPTED, "deliver");
    accounting::assert_all_delivered(&testbed, &host, &producer);
    watch.finish();
}

#[test]
fn rows_of_a_hung_instance_are_delivered_by_another_until_too_many_hang() {
    let testbed = testbed("PerformanceExporterConcurrent");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    testbed.script(SCRIPTED, "hang-first");
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 10);
    accounting::assert_all_delivered(&testbed, &host, &producer);

    testbed.script(SCRIPTED, "hang");
    producer.send(&host, 10);
    let view = wait_for_state(&host, "quarantined");
    let error = view["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("threads hang"), "{view}");
    wait_for_the_others(&testbed, &host);
    watch.finish();
    host.kill();

    testbed.script(SCRIPTED, "deliver");
    let host = testbed.setup.start();
    accounting::assert_all_delivered(&testbed, &host, &producer);
}

#[test]
fn an_invalid_outcome_loses_no_row() {
    let testbed = testbed("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    testbed.script(SCRIPTED, "invalid-rows");
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 10);
    wait_for_the_others(&testbed, &host);
    host.wait_for("more attempts", || {
        let attempts = "delfin_host_exporter_attempts_total";
        (host.metrics().of_exporter(SCRIPTED, attempts) >= 7.0).then_some(())
    });
    assert_all_rows_are_pending(&host.exporter(SCRIPTED));
    testbed.script(SCRIPTED, "deliver");
    accounting::assert_all_delivered(&testbed, &host, &producer);
    watch.finish();
}

#[test]
fn an_exporter_that_crashes_the_host_three_times_is_quarantined_and_the_others_run() {
    let testbed = testbed("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    testbed.script(SCRIPTED, "retry");
    let host = testbed.setup.start();
    producer.send(&host, 10);
    testbed.script(SCRIPTED, "abort");
    wait_for_crash(host);
    for _ in 0..2 {
        wait_for_crash(testbed.setup.spawn());
    }

    let host = testbed.setup.start();
    let view = host.exporter(SCRIPTED);
    assert_eq!(view["state"], "quarantined", "{view}");
    assert_all_rows_are_pending(&view);
    assert_names_a_batch(&view);
    producer.send(&host, 10);
    wait_for_the_others(&testbed, &host);

    // An operator has repaired what the plugin needs, and lets it try again.
    testbed.script(SCRIPTED, "deliver");
    let resumed = ["exporters", "resume", SCRIPTED, "--host", host.url()];
    let _ = testbed.setup.run(&resumed).expect_exit(0);
    accounting::assert_all_delivered(&testbed, &host, &producer);
}

fn wait_for_crash(mut host: Host) {
    delfin_tests::wait_for("the host to die", || (!host.is_alive()).then_some(()));
}

fn assert_names_a_batch(view: &Value) {
    let error = view["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("crashed 3 times"), "{view}");
    let named = error.split('`').nth(1).unwrap_or_default();
    assert!(
        named.len() == 36 && named.matches('-').count() == 4,
        "{view}"
    );
}
