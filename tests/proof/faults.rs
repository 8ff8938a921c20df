//! Each thing that a receiver can do wrong, alone and under load.

use delfin_plugin_api::Kind;
use delfin_tests::Mood;

use crate::{
    judge,
    producer::{Producer, Shape},
    random,
    stage::Plan,
    watch::Watch,
};

/// What a receiver may do, and whether it gets something nevertheless.
const FAULTS: [(Mood, bool); 11] = [
    (Mood::Closed, false),
    (Mood::Stall, false),
    (Mood::Cut, true),
    (Mood::Status(401), false),
    (Mood::Status(500), false),
    (Mood::Status(503), false),
    (Mood::Status(404), false),
    (Mood::Busy(429), false),
    (Mood::Busy(503), false),
    (Mood::AtMost(3), true),
    (Mood::TakesHalf, true),
];

#[test]
fn a_receiver_that_fails_in_whatever_way_misses_nothing_and_holds_up_nobody() {
    let stage = Plan::default()
        .hook("faulty", Kind::Performance, "timeout = \"300ms\"")
        .hook("well", Kind::Performance, "")
        .file("file", Kind::Performance)
        .hook("faulty-alerts", Kind::Alert, "timeout = \"300ms\"")
        .hook("well-alerts", Kind::Alert, "")
        .build();
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    let (faulty, others): (Vec<_>, Vec<_>) = stage
        .exporters
        .iter()
        .partition(|exporter| exporter.name.starts_with("faulty"));
    for (mood, gets_something) in FAULTS {
        for exporter in &faulty {
            stage.receiver(&exporter.name).be(mood);
        }
        producer.hand_in(&host, 8);
        // They have everything while the others still fail.
        stage.wait_until_idle(&host, others.iter().copied());
        for exporter in &faulty {
            let view = host.exporter(&exporter.name);
            assert!(gets_something || view["pending"] != 0, "{mood:?}: {view}");
            stage.receiver(&exporter.name).be(Mood::Well);
        }
        stage.wait_until_idle(&host, faulty.iter().copied());
    }
    judge::all_delivered(&stage, &host, &producer);
    assert!(watch.end() > 0);
    let (status, said) = host.stop();
    assert!(status.success(), "{said}");
}
