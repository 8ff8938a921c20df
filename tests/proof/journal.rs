//! A journal that cannot be written for a while, and one that is damaged.

use std::{collections::BTreeSet, fs, os::unix::fs::FileExt};

use delfin_plugin_api::Kind;
use delfin_tests::{Host, Mood, Row};
use rand::{Rng, RngCore, rngs::StdRng};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::{
    judge,
    producer::{Producer, Shape},
    random,
    stage::{Plan, Stage},
    watch::Watch,
};

const DAMAGES: usize = 6;

/// A host that is not ended by the signal that comes with a write beyond the limit.
const WITHOUT_SIGNAL: [&str; 4] = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];

/// Has each of the host's writes fail, or lets them pass again.
fn let_write(host: &Host, may: bool) {
    let pid = i32::try_from(host.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: if may { None } else { Some(0) },
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).expect("limit the host");
}

fn refused(producer: &Producer, host: &Host) {
    host.wait_for("a refusal", || {
        (producer.ask_once(host) == Some(503)).then_some(())
    });
}

#[test]
fn a_journal_that_cannot_be_written_refuses_batches_and_goes_on_once_it_can() {
    let mut stage = Plan::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .hook("alerts", Kind::Alert, "")
        .build();
    stage.setup = stage.setup.within(&WITHOUT_SIGNAL);
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    let mut host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    for _ in 0..2 {
        stage.receiver("behind").be(Mood::Closed);
        producer.hand_in(&host, 4);
        let_write(&host, false);
        refused(&producer, &host);
        // What arrives now cannot be settled, and may come again.
        stage.receiver("behind").be(Mood::Well);
        refused(&producer, &host);
        assert!(host.is_alive(), "{}", host.said());
        let_write(&host, true);
        producer.hand_in(&host, 4);
    }
    judge::all_delivered(&stage, &host, &producer);
    assert!(watch.end() > 0);
    let (status, said) = host.stop();
    assert!(status.success(), "{said}");
}

/// Overwrites some pages of the journal with noise.
fn damage(stage: &Stage, random: &mut StdRng) {
    let path = stage.setup.path("state/performance.db");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("the journal");
    let pages = file.metadata().expect("its length").len() / 4096;
    for _ in 0..random.random_range(1..4) {
        let mut noise = vec![0; random.random_range(1..4096)];
        random.fill_bytes(&mut noise);
        let page = random.random_range(0..pages);
        file.write_all_at(&noise, page * 4096).expect("write");
    }
}

#[test]
fn whatever_is_damaged_the_host_starts_and_loses_nothing_that_it_takes_from_then_on() {
    let stage = Plan::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .build();
    let mut random = random();
    let shape = Shape {
        rows: 200,
        ..Shape::default()
    };
    let producer = Producer::single(&mut random, shape);
    for _ in 0..DAMAGES {
        stage.receiver("behind").be(Mood::Closed);
        let host = stage.setup.start();
        producer.hand_in(&host, 20);
        stage.wait_until_idle(&host, [stage.exporter("well")]);
        let (status, said) = host.stop();
        assert!(status.success(), "{said}");

        damage(&stage, &mut random);
        let before = producer.acknowledged(Kind::Performance).len();
        let host = stage.setup.start();
        let watch = Watch::begin(&stage, &host);
        producer.hand_in(&host, 5);
        stage.receiver("behind").be(Mood::Well);
        stage.wait_until_idle(&host, &stage.exporters);
        let rows = producer.acknowledged(Kind::Performance);
        for exporter in &stage.exporters {
            assert_has(&exporter.name, stage.arrived(exporter), &rows, before);
        }
        watch.end();
        host.kill();
    }
}

/// Checks that all rows from one on arrived, and nothing that nobody handed in.
fn assert_has(exporter: &str, arrived: Vec<Row>, rows: &[Row], from: usize) {
    let arrived: BTreeSet<Row> = arrived.into_iter().collect();
    for row in &rows[from..] {
        assert!(arrived.contains(row), "{exporter}: {row:?} did not arrive");
    }
    let rows: BTreeSet<&Row> = rows.iter().collect();
    let strange = arrived.iter().find(|row| !rows.contains(row));
    assert_eq!(strange, None, "{exporter}: nobody has handed that in");
}
