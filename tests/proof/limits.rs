//! Limits drop the oldest rows, count them exactly, and drop nothing else.

use std::collections::BTreeSet;

use delfin_plugin_api::Kind;
use delfin_tests::{Behavior, Host, Row};

use crate::{
    accounting::{self, Disposition},
    producer::{Producer, Shape},
    random,
    testbed::{Testbed, TestbedBuilder},
    watch::Watch,
};

const MAX_BYTES: f64 = 64.0 * 1024.0;

const SHAPE: Shape = Shape {
    rows: 100,
    poison: 0.0,
    hidden: 0.0,
};

/// Waits until the journal is within the limits.
fn wait_until_within_limits(host: &Host, exporters: &[&str]) {
    for name in exporters {
        host.wait_for_exporter(name, "a limit", |view| {
            view["dropped"] != 0 || view["dead_lettered"] != 0
        });
    }
    host.wait_for("the limits to be kept", || {
        let metrics = host.metrics();
        let mut held = metrics.samples().iter().filter(|sample| {
            sample.name == "delfin_host_journal_bytes" && sample.labels.contains("performance")
        });
        held.all(|held| held.value <= MAX_BYTES).then_some(())
    });
}

/// Checks that an exporter lost its oldest rows, and delivered all others.
fn assert_lost_the_oldest(
    testbed: &Testbed,
    host: &Host,
    producer: &Producer,
    name: &str,
    disposition: Disposition,
) {
    let exporter = testbed.exporter(name);
    let rows = producer.acknowledged(exporter.kind);
    let arrived = testbed.arrived(exporter);
    let first = rows.iter().position(|row| Some(row) == arrived.first());
    let first = first.unwrap_or(rows.len());
    assert!(first > 0, "{name} has lost nothing");
    let lost: BTreeSet<&Row> = rows[..first].iter().collect();
    accounting::assert_exporter(testbed, host, exporter, &rows, |row| {
        if lost.contains(row) {
            disposition
        } else {
            Disposition::Delivered
        }
    });
}

fn assert_dropped_for(host: &Host, name: &str, limit: &str) {
    let metrics = host.metrics();
    let drops = metrics.samples().iter().filter(|sample| {
        sample.name == "delfin_host_exporter_dropped_items_total"
            && sample.labels.contains(&format!("\"{name}\""))
            && sample.value > 0.0
    });
    for drop in drops {
        let reason = format!("reason=\"{limit}\"");
        assert!(drop.labels.contains(&reason), "{name}: {drop:?}");
    }
}

#[test]
fn an_exporter_over_its_limit_loses_its_oldest_rows_and_the_others_lose_nothing() {
    let limit = "queue.max_bytes = \"32KiB\"";
    let testbed = TestbedBuilder::default()
        .hook("drops", Kind::Performance, limit)
        .hook(
            "keeps",
            Kind::Performance,
            &format!("{limit}\nqueue.on_overflow = \"dead_letter\""),
        )
        .hook("ages", Kind::Performance, "queue.max_age = \"1s\"")
        .hook("well", Kind::Performance, "")
        .file("file", Kind::Performance)
        .build_in("state", "retention = \"0s\"");
    let limited = ["drops", "keeps", "ages"];
    for name in limited {
        testbed.receiver(name).set_behavior(Behavior::Closed);
    }
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 60);
    testbed.wait_until_idle(
        &host,
        ["well", "file", "ages"].map(|name| testbed.exporter(name)),
    );
    wait_until_within_limits(&host, &limited);
    for name in limited {
        testbed.receiver(name).set_behavior(Behavior::Accept);
    }
    testbed.wait_until_idle(&host, &testbed.exporters);

    let rows = producer.acknowledged(Kind::Performance);
    for name in ["well", "file"] {
        accounting::assert_exporter(&testbed, &host, testbed.exporter(name), &rows, |_| {
            Disposition::Delivered
        });
    }
    assert_lost_the_oldest(&testbed, &host, &producer, "drops", Disposition::Dropped);
    assert_lost_the_oldest(
        &testbed,
        &host,
        &producer,
        "keeps",
        Disposition::DeadLettered,
    );
    accounting::assert_exporter(&testbed, &host, testbed.exporter("ages"), &rows, |_| {
        Disposition::Dropped
    });
    assert_dropped_for(&host, "drops", "queue.max_bytes");
    assert_dropped_for(&host, "ages", "queue.max_age");
    assert!(!testbed.receiver("drops").rows().is_empty());
    assert!(watch.finish() > 0);
}

#[test]
fn a_required_exporter_over_its_limit_makes_ingest_answer_429_and_loses_nothing() {
    let limit = "required = true\nqueue.max_bytes = \"64KiB\"";
    let testbed = TestbedBuilder::default()
        .hook("required", Kind::Performance, limit)
        .hook("well", Kind::Performance, "")
        .build();
    testbed.receiver("required").set_behavior(Behavior::Closed);
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    host.wait_for("a refusal", || {
        (producer.send_once(&host) == Some(429)).then_some(())
    });
    testbed.wait_until_idle(&host, [testbed.exporter("well")]);
    testbed.receiver("required").set_behavior(Behavior::Accept);
    producer.send(&host, 10);
    accounting::assert_all_delivered(&testbed, &host, &producer);
    assert!(producer.answers(429) > 0);
    assert!(watch.finish() > 0);
}

#[test]
fn a_full_journal_drops_the_oldest_rows_of_lagging_exporters_and_refuses_nothing() {
    let testbed = TestbedBuilder::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .build_in("state", "max_bytes = \"1MiB\"\nretention = \"0s\"");
    testbed.receiver("behind").set_behavior(Behavior::Closed);
    let mut random = random();
    let shape = Shape {
        rows: 2000,
        ..SHAPE
    };
    let producer = Producer::single(&mut random, shape);
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    while host.exporter("behind")["dropped"] == 0 {
        producer.send(&host, 5);
    }
    testbed.receiver("behind").set_behavior(Behavior::Accept);
    testbed.wait_until_idle(&host, &testbed.exporters);
    let rows = producer.acknowledged(Kind::Performance);
    accounting::assert_exporter(&testbed, &host, testbed.exporter("well"), &rows, |_| {
        Disposition::Delivered
    });
    assert_lost_the_oldest(&testbed, &host, &producer, "behind", Disposition::Dropped);
    assert_dropped_for(&host, "behind", "journal.max_bytes");
    assert_eq!(producer.answers(507) + producer.answers(429), 0);
    assert!(watch.finish() > 0);
}
