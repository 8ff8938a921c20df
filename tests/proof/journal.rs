//! A journal that cannot be written for a while, and one that is damaged.

use std::{collections::BTreeSet, fs, os::unix::fs::FileExt};

use delfin_plugin_api::Kind;
use delfin_tests::{Host, Mood, Row, soak};
use rand::{Rng, RngCore, rngs::StdRng};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::{
    judge,
    producer::{Producer, Shape},
    random,
    stage::{Plan, Stage},
    watch::Watch,
};

const DAMAGES: u32 = 6;

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

/// How long the head of a database file is.
const HEAD: u64 = 100;

/// Overwrites bytes of the journal with noise, here and there; but not its head,
/// which could then be that of a newer host, and is rightly refused.
fn damage(stage: &Stage, random: &mut StdRng) {
    let path = stage.setup.path("state/performance.db");
    let file = fs::OpenOptions::new().write(true).open(path);
    let file = file.expect("the journal");
    let length = file.metadata().expect("its length").len();
    for _ in 0..random.random_range(1..4) {
        let most = [16, 4096][random.random_range(0..2)];
        let mut noise = vec![0; random.random_range(1..most)];
        random.fill_bytes(&mut noise);
        file.write_all_at(&noise, random.random_range(HEAD..length))
            .expect("write");
    }
}

/// How many damaged files were moved aside.
fn moved_aside(stage: &Stage) -> usize {
    let files = fs::read_dir(stage.setup.path("state")).expect("the state");
    let names = files.map(|file| file.expect("a file").file_name());
    names
        .filter(|name| name.to_string_lossy().contains(".db.corrupt-"))
        .count()
}

/// Checks that rows arrived everywhere, but for as many items as are dead letters,
/// since a record cannot be read; and nothing that nobody handed in.
fn assert_arrived(stage: &Stage, host: &Host, rows: &[Row], from: usize) {
    let known: BTreeSet<&Row> = rows.iter().collect();
    for exporter in &stage.exporters {
        let name = exporter.name.as_str();
        let arrived: BTreeSet<Row> = stage.arrived(exporter).into_iter().collect();
        let strange = arrived.iter().find(|row| !known.contains(row));
        assert_eq!(strange, None, "{name}: nobody has handed that in");
        let missing = rows[from..].iter().filter(|row| !arrived.contains(row));
        let missing: u64 = missing.map(|row| row.items).sum();
        let view = host.exporter(name);
        let given_up = view["dead_lettered"].as_u64().unwrap_or_default();
        assert!(
            missing <= given_up,
            "{missing} items are missing: {view}\n{}",
            host.said()
        );
    }
}

#[test]
fn whatever_is_damaged_the_host_starts_and_says_what_is_lost() {
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
    for _ in 0..soak(DAMAGES) {
        stage.receiver("behind").be(Mood::Closed);
        let begin = producer.acknowledged(Kind::Performance).len();
        let host = stage.setup.start();
        producer.hand_in(&host, 20);
        stage.wait_until_idle(&host, [stage.exporter("well")]);
        let (status, said) = host.stop();
        assert!(status.success(), "{said}");

        damage(&stage, &mut random);
        stage.receiver("behind").be(Mood::Well);
        let mut aside = moved_aside(&stage);
        let mut from = begin;
        let host = stage.setup.start();
        let watch = Watch::begin(&stage, &host);
        for _ in 0..2 {
            producer.hand_in(&host, 5);
            stage.wait_until_idle(&host, &stage.exporters);
            let rows = producer.acknowledged(Kind::Performance);
            // Damage that is met only now takes with it what was taken before.
            if moved_aside(&stage) == aside {
                assert_arrived(&stage, &host, &rows, from);
            }
            aside = moved_aside(&stage);
            from = rows.len();
        }
        watch.end();
        host.kill();
    }
}
