//! What limits cost: the oldest, exactly counted, and nothing else.

use std::collections::BTreeSet;

use delfin_plugin_api::Kind;
use delfin_tests::{Host, Mood, Row};

use crate::{
    judge::{self, Fate},
    producer::{Producer, Shape},
    random,
    stage::{Plan, Stage},
    watch::Watch,
};

const MAX_BYTES: f64 = 64.0 * 1024.0;

const SHAPE: Shape = Shape {
    rows: 100,
    poison: 0.0,
    hidden: 0.0,
};

/// Waits until what is held is no more than the limits allow.
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

/// Checks that an exporter has lost its oldest rows, and has got all others.
fn assert_lost_the_oldest(stage: &Stage, host: &Host, producer: &Producer, name: &str, fate: Fate) {
    let exporter = stage.exporter(name);
    let rows = producer.acknowledged(exporter.kind);
    let arrived = stage.arrived(exporter);
    let first = rows.iter().position(|row| Some(row) == arrived.first());
    let first = first.unwrap_or(rows.len());
    assert!(first > 0, "{name} has lost nothing");
    let lost: BTreeSet<&Row> = rows[..first].iter().collect();
    judge::one(stage, host, exporter, &rows, |row| {
        if lost.contains(row) {
            fate
        } else {
            Fate::Delivered
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
fn an_exporter_over_its_limit_loses_its_oldest_and_the_others_lose_nothing() {
    let limit = "queue.max_bytes = \"64KiB\"";
    let stage = Plan::default()
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
        stage.receiver(name).be(Mood::Closed);
    }
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 60);
    stage.wait_until_idle(
        &host,
        ["well", "file", "ages"].map(|name| stage.exporter(name)),
    );
    wait_until_within_limits(&host, &limited);
    for name in limited {
        stage.receiver(name).be(Mood::Well);
    }
    stage.wait_until_idle(&host, &stage.exporters);

    let rows = producer.acknowledged(Kind::Performance);
    for name in ["well", "file"] {
        judge::one(&stage, &host, stage.exporter(name), &rows, |_| {
            Fate::Delivered
        });
    }
    assert_lost_the_oldest(&stage, &host, &producer, "drops", Fate::Dropped);
    assert_lost_the_oldest(&stage, &host, &producer, "keeps", Fate::DeadLettered);
    judge::one(&stage, &host, stage.exporter("ages"), &rows, |_| {
        Fate::Dropped
    });
    assert_dropped_for(&host, "drops", "queue.max_bytes");
    assert_dropped_for(&host, "ages", "queue.max_age");
    assert!(!stage.receiver("drops").rows().is_empty());
    assert!(watch.end() > 0);
}

#[test]
fn a_required_exporter_over_its_limit_holds_up_those_who_hand_in_and_loses_nothing() {
    let limit = "required = true\nqueue.max_bytes = \"64KiB\"";
    let stage = Plan::default()
        .hook("required", Kind::Performance, limit)
        .hook("well", Kind::Performance, "")
        .build();
    stage.receiver("required").be(Mood::Closed);
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    host.wait_for("a refusal", || {
        (producer.ask_once(&host) == Some(429)).then_some(())
    });
    stage.wait_until_idle(&host, [stage.exporter("well")]);
    stage.receiver("required").be(Mood::Well);
    producer.hand_in(&host, 10);
    judge::all_delivered(&stage, &host, &producer);
    assert!(producer.answers(429) > 0);
    assert!(watch.end() > 0);
}

#[test]
fn a_full_journal_costs_those_that_are_behind_their_oldest_and_refuses_nothing() {
    let stage = Plan::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .build_in("state", "max_bytes = \"1MiB\"\nretention = \"0s\"");
    stage.receiver("behind").be(Mood::Closed);
    let mut random = random();
    let shape = Shape {
        rows: 2000,
        ..SHAPE
    };
    let producer = Producer::single(&mut random, shape);
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    while host.exporter("behind")["dropped"] == 0 {
        producer.hand_in(&host, 5);
    }
    stage.receiver("behind").be(Mood::Well);
    stage.wait_until_idle(&host, &stage.exporters);
    let rows = producer.acknowledged(Kind::Performance);
    judge::one(&stage, &host, stage.exporter("well"), &rows, |_| {
        Fate::Delivered
    });
    assert_lost_the_oldest(&stage, &host, &producer, "behind", Fate::Dropped);
    assert_dropped_for(&host, "behind", "journal.max_bytes");
    assert_eq!(producer.answers(507) + producer.answers(429), 0);
    assert!(watch.end() > 0);
}
