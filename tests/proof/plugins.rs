//! Plugins that panic, hang, talk nonsense, leak, or take the host down with them.

use std::fs;

use delfin_plugin_api::Kind;
use delfin_tests::Host;
use serde_json::Value;

use crate::{
    judge,
    producer::{Producer, Shape},
    random,
    stage::{Plan, Stage},
    watch::Watch,
};

const SCRIPTED: &str = "scripted";

fn stage(plugin: &str) -> Stage {
    Plan::default()
        .scripted(SCRIPTED, plugin, "timeout = \"200ms\"")
        .hook("hook", Kind::Performance, "")
        .file("file", Kind::Performance)
        .hook("alerts", Kind::Alert, "")
        .build()
}

/// Waits until the others have everything.
fn wait_for_the_others(stage: &Stage, host: &Host) {
    let others = stage
        .exporters
        .iter()
        .filter(|exporter| exporter.name != SCRIPTED);
    stage.wait_until_idle(host, others);
}

fn wait_for_state(host: &Host, state: &str) -> Value {
    host.wait_for_exporter(SCRIPTED, state, |view| view["state"] == state)
}

fn assert_nothing_became_of_it(view: &Value) {
    for count in ["delivered", "dead_lettered", "dropped", "filtered"] {
        assert_eq!(view[count], 0, "{view}");
    }
    assert_ne!(view["pending"], 0, "{view}");
}

#[test]
fn a_plugin_that_panics_again_and_again_is_left_alone_and_its_rows_are_kept() {
    let stage = stage("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    stage.script(SCRIPTED, "panic");
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 10);
    let view = wait_for_state(&host, "quarantined");
    assert_nothing_became_of_it(&view);
    wait_for_the_others(&stage, &host);
    producer.hand_in(&host, 10);
    wait_for_the_others(&stage, &host);
    watch.end();
    let (status, said) = host.stop();
    assert!(status.success(), "{said}");

    stage.script(SCRIPTED, "leak");
    let host = stage.setup.start();
    judge::all_delivered(&stage, &host, &producer);
}

#[test]
fn a_plugin_that_hangs_is_left_alone_and_goes_on_when_it_comes_back() {
    let stage = stage("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    stage.script(SCRIPTED, "hang");
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 10);
    let view = wait_for_state(&host, "quarantined");
    assert_nothing_became_of_it(&view);
    producer.hand_in(&host, 10);
    wait_for_the_others(&stage, &host);
    stage.script(SCRIPTED, "deliver");
    judge::all_delivered(&stage, &host, &producer);
    watch.end();
}

#[test]
fn what_hangs_in_one_instance_is_delivered_by_another_until_too_many_hang() {
    let stage = stage("PerformanceExporterDoubled");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    stage.script(SCRIPTED, "hang-first");
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 10);
    judge::all_delivered(&stage, &host, &producer);

    stage.script(SCRIPTED, "hang");
    producer.hand_in(&host, 10);
    let view = wait_for_state(&host, "quarantined");
    let error = view["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("threads hang"), "{view}");
    wait_for_the_others(&stage, &host);
    watch.end();
    host.kill();

    stage.script(SCRIPTED, "deliver");
    let host = stage.setup.start();
    judge::all_delivered(&stage, &host, &producer);
}

#[test]
fn nonsense_about_rows_costs_none_of_them() {
    let stage = stage("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    stage.script(SCRIPTED, "nonsense");
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 10);
    wait_for_the_others(&stage, &host);
    host.wait_for("it to be asked some more times", || {
        let attempts = "delfin_host_exporter_attempts_total";
        (host.metrics().of_exporter(SCRIPTED, attempts) >= 7.0).then_some(())
    });
    assert_nothing_became_of_it(&host.exporter(SCRIPTED));
    stage.script(SCRIPTED, "deliver");
    judge::all_delivered(&stage, &host, &producer);
    watch.end();
}

#[test]
fn an_exporter_that_takes_the_host_down_three_times_is_left_alone_and_the_others_run() {
    let stage = stage("PerformanceExporterScripted");
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    stage.script(SCRIPTED, "retry");
    let host = stage.setup.start();
    producer.hand_in(&host, 10);
    stage.script(SCRIPTED, "abort");
    wait_for_the_end(host);
    for _ in 0..2 {
        wait_for_the_end(stage.setup.spawn());
    }

    let host = stage.setup.start();
    let view = host.exporter(SCRIPTED);
    assert_eq!(view["state"], "quarantined", "{view}");
    assert_nothing_became_of_it(&view);
    assert_names_a_batch(&view);
    producer.hand_in(&host, 10);
    wait_for_the_others(&stage, &host);
    host.kill();

    // Somebody has mended the plugin, and says so.
    stage.script(SCRIPTED, "deliver");
    let marker = stage.setup.path("state/calls").join(SCRIPTED);
    fs::remove_file(marker).expect("a marker");
    let host = stage.setup.start();
    judge::all_delivered(&stage, &host, &producer);
}

fn wait_for_the_end(mut host: Host) {
    delfin_tests::wait_for("the host to die", || (!host.is_alive()).then_some(()));
}

fn assert_names_a_batch(view: &Value) {
    let error = view["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("died 3 times"), "{view}");
    let named = error.split('`').nth(1).unwrap_or_default();
    assert!(
        named.len() == 36 && named.matches('-').count() == 4,
        "{view}"
    );
}
