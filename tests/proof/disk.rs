//! A full disk, and a read-only disk.

use delfin_plugin_api::Kind;
use delfin_tests::{Behavior, Disk, Host};

use crate::{
    accounting,
    producer::{Producer, Shape},
    random,
    testbed::{Testbed, TestbedBuilder},
    watch::Watch,
};

/// Large batches: the free space inside the journal is used up soon.
const SHAPE: Shape = Shape {
    rows: 4000,
    poison: 0.0,
    hidden: 0.0,
};

/// A testbed whose state is on a small disk; the receiver of `behind` is closed at first.
fn testbed_on_disk() -> Option<(Disk, Testbed)> {
    let testbed = TestbedBuilder::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .build_in("disk/state", "");
    testbed.receiver("behind").set_behavior(Behavior::Closed);
    let disk = Disk::mount(testbed.setup.path("disk"), "48m")?;
    Some((disk, testbed))
}

fn send_until_refused(producer: &Producer, host: &Host) {
    host.wait_for("a refusal", || {
        let status = producer.send_once(host);
        matches!(status, Some(507 | 503)).then_some(())
    });
}

#[test]
fn a_full_disk_refuses_new_batches_and_keeps_accepted_ones() {
    let Some((disk, testbed)) = testbed_on_disk() else {
        return;
    };
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 5);
    disk.fill();
    send_until_refused(&producer, &host);
    let (alive, answer) = host.get("/healthz");
    assert_eq!(alive, 200, "{answer}");
    testbed.wait_until_idle(&host, [testbed.exporter("well")]);
    watch.finish();
    host.kill();

    // The host starts on the full disk, refuses new batches, and delivers the accepted ones.
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    testbed.receiver("behind").set_behavior(Behavior::Accept);
    testbed.wait_until_idle(&host, &testbed.exporters);
    disk.free();
    producer.send(&host, 3);
    accounting::assert_all_delivered(&testbed, &host, &producer);
    assert!(watch.finish() > 0);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_read_only_disk_is_refused_at_the_start_and_nothing_is_lost() {
    let Some((disk, testbed)) = testbed_on_disk() else {
        return;
    };
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = testbed.setup.start();
    producer.send(&host, 3);
    testbed.wait_until_idle(&host, [testbed.exporter("well")]);
    host.kill();

    disk.set_writable(false);
    let output = testbed.setup.run(&["run"]).expect_exit(1);
    assert!(
        output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
    disk.set_writable(true);
    testbed.receiver("behind").set_behavior(Behavior::Accept);
    let host = testbed.setup.start();
    producer.send(&host, 3);
    accounting::assert_all_delivered(&testbed, &host, &producer);
}
