//! Each fault of a receiver, under load.

use delfin_plugin_api::Kind;
use delfin_tests::Behavior;

use crate::{
    accounting,
    producer::{Producer, Shape},
    random,
    testbed::{Mode, TestbedBuilder},
    watch::Watch,
};

/// Behaviors, and whether the receiver accepts rows nevertheless.
const FAULTS: [(Behavior, bool); 11] = [
    (Behavior::Closed, false),
    (Behavior::Stall, false),
    (Behavior::Cut, true),
    (Behavior::Status(401), false),
    (Behavior::Status(500), false),
    (Behavior::Status(503), false),
    (Behavior::Status(404), false),
    (Behavior::Busy(429), false),
    (Behavior::Busy(503), false),
    (Behavior::AtMost(3), true),
    (Behavior::AcceptHalf, true),
];

#[test]
fn a_failing_receiver_misses_nothing_and_delays_no_other_exporter() {
    prove(Mode::Process);
}

#[test]
fn a_failing_receiver_of_an_exporter_in_a_thread_does_neither() {
    prove(Mode::Thread);
}

fn prove(mode: Mode) {
    let testbed = TestbedBuilder::new(mode)
        .hook("faulty", Kind::Performance, "timeout = \"300ms\"")
        .hook("well", Kind::Performance, "")
        .file("file", Kind::Performance)
        .hook("faulty-alerts", Kind::Alert, "timeout = \"300ms\"")
        .hook("well-alerts", Kind::Alert, "")
        .build();
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    let (faulty, others): (Vec<_>, Vec<_>) = testbed
        .exporters
        .iter()
        .partition(|exporter| exporter.name.starts_with("faulty"));
    for (behavior, accepts_rows) in FAULTS {
        for exporter in &faulty {
            testbed.receiver(&exporter.name).set_behavior(behavior);
        }
        producer.send(&host, 8);
        // The others have delivered every row while the faulty receivers still fail.
        testbed.wait_until_idle(&host, others.iter().copied());
        for exporter in &faulty {
            let view = host.exporter(&exporter.name);
            assert!(accepts_rows || view["pending"] != 0, "{behavior:?}: {view}");
            testbed
                .receiver(&exporter.name)
                .set_behavior(Behavior::Accept);
        }
        testbed.wait_until_idle(&host, faulty.iter().copied());
    }
    accounting::assert_all_delivered(&testbed, &host, &producer);
    assert!(watch.finish() > 0);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}
