//! A disk that fills up, and one that can only be read.

use delfin_plugin_api::Kind;
use delfin_tests::{Disk, Host, Mood};

use crate::{
    judge,
    producer::{Producer, Shape},
    random,
    stage::{Plan, Stage},
    watch::Watch,
};

/// Large ones: the room that a full disk leaves in the journal is soon taken.
const SHAPE: Shape = Shape {
    rows: 4000,
    poison: 0.0,
    hidden: 0.0,
};

/// A stage whose state is on a small disk; `behind` has no receiver at first.
fn stage_on_disk() -> Option<(Disk, Stage)> {
    let stage = Plan::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .build_in("disk/state", "");
    stage.receiver("behind").be(Mood::Closed);
    let disk = Disk::mount(stage.setup.path("disk"), "48m")?;
    Some((disk, stage))
}

fn hand_in_until_refused(producer: &Producer, host: &Host) {
    host.wait_for("a refusal", || {
        let status = producer.ask_once(host);
        matches!(status, Some(507 | 503)).then_some(())
    });
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_keeps_what_it_took() {
    let Some((disk, stage)) = stage_on_disk() else {
        return;
    };
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 5);
    disk.fill();
    hand_in_until_refused(&producer, &host);
    let (alive, answer) = host.get("/healthz");
    assert_eq!(alive, 200, "{answer}");
    stage.wait_until_idle(&host, [stage.exporter("well")]);
    watch.end();
    host.kill();

    // It starts on the full disk, refuses still, and delivers what it has.
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    stage.receiver("behind").be(Mood::Well);
    stage.wait_until_idle(&host, &stage.exporters);
    disk.make_room();
    producer.hand_in(&host, 3);
    judge::all_delivered(&stage, &host, &producer);
    assert!(watch.end() > 0);
    let (status, said) = host.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_disk_that_cannot_be_written_is_refused_at_the_start_and_nothing_is_lost() {
    let Some((disk, stage)) = stage_on_disk() else {
        return;
    };
    let mut random = random();
    let producer = Producer::single(&mut random, SHAPE);
    let host = stage.setup.start();
    producer.hand_in(&host, 3);
    stage.wait_until_idle(&host, [stage.exporter("well")]);
    host.kill();

    disk.set_writable(false);
    let ran = stage.setup.run(&["run"]).exits(1);
    assert!(ran.stderr.contains("Read-only file system"), "{ran:?}");
    disk.set_writable(true);
    stage.receiver("behind").be(Mood::Well);
    let host = stage.setup.start();
    producer.hand_in(&host, 3);
    judge::all_delivered(&stage, &host, &producer);
}
