//! A journal that cannot be written for a while, and one that is damaged.

use std::{collections::BTreeSet, fs, os::unix::fs::FileExt};

use delfin_plugin_api::Kind;
use delfin_tests::{Behavior, Host, Row, soak};
use rand::{Rng, RngCore, rngs::StdRng};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::{
    accounting,
    producer::{Producer, Shape},
    random,
    testbed::{Testbed, TestbedBuilder},
    watch::Watch,
};

const ROUNDS: u32 = 6;

/// A host that ignores the signal of a write beyond the limit.
const WITHOUT_SIGNAL: [&str; 4] = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];

/// Makes every write of the host fail, or allows writes again.
fn allow_writes(host: &Host, may: bool) {
    let pid = i32::try_from(host.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: if may { None } else { Some(0) },
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).expect("limit the host");
}

fn wait_for_refusal(producer: &Producer, host: &Host) {
    host.wait_for("a refusal", || {
        (producer.send_once(host) == Some(503)).then_some(())
    });
}

#[test]
fn a_journal_that_cannot_be_written_refuses_batches_and_recovers() {
    let mut testbed = TestbedBuilder::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .hook("alerts", Kind::Alert, "")
        .build();
    testbed.setup = testbed.setup.wrapped_in(&WITHOUT_SIGNAL);
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    let mut host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    for _ in 0..2 {
        testbed.receiver("behind").set_behavior(Behavior::Closed);
        producer.send(&host, 4);
        allow_writes(&host, false);
        wait_for_refusal(&producer, &host);
        // Rows that arrive now cannot be committed, and may arrive again.
        testbed.receiver("behind").set_behavior(Behavior::Accept);
        wait_for_refusal(&producer, &host);
        assert!(host.is_alive(), "{}", host.log());
        allow_writes(&host, true);
        producer.send(&host, 4);
    }
    accounting::assert_all_delivered(&testbed, &host, &producer);
    assert!(watch.finish() > 0);
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

/// The length of the header of a database file, in bytes.
const HEAD: u64 = 100;

/// Overwrites random places of the journal with random bytes. The header is left alone: a random one
/// could be that of a newer host, which is refused.
fn damage(testbed: &Testbed, random: &mut StdRng) {
    let path = testbed.setup.path("state/performance.db");
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

/// The number of damaged files that the host moved aside.
fn moved_aside(testbed: &Testbed) -> usize {
    let files = fs::read_dir(testbed.setup.path("state")).expect("the state");
    let names = files.map(|file| file.expect("a file").file_name());
    names
        .filter(|name| name.to_string_lossy().contains(".db.corrupt-"))
        .count()
}

/// Checks that every exporter delivered the rows, except for as many items as are dead letters,
/// because their record is unreadable; and that no exporter delivered other rows.
fn assert_arrived(testbed: &Testbed, host: &Host, rows: &[Row], from: usize) {
    let known: BTreeSet<&Row> = rows.iter().collect();
    for exporter in &testbed.exporters {
        let name = exporter.name.as_str();
        let arrived: BTreeSet<Row> = testbed.arrived(exporter).into_iter().collect();
        let strange = arrived.iter().find(|row| !known.contains(row));
        assert_eq!(strange, None, "{name}: a row that no client sent");
        let missing = rows[from..].iter().filter(|row| !arrived.contains(row));
        let missing: u64 = missing.map(|row| row.items).sum();
        let view = host.exporter(name);
        let dead_lettered = view["dead_lettered"].as_u64().unwrap_or_default();
        assert!(
            missing <= dead_lettered,
            "{missing} items are missing: {view}\n{}",
            host.log()
        );
    }
}

#[test]
fn with_any_damage_to_the_journal_the_host_starts_and_reports_the_loss() {
    let testbed = TestbedBuilder::default()
        .hook("behind", Kind::Performance, "")
        .hook("well", Kind::Performance, "")
        .build();
    let mut random = random();
    let shape = Shape {
        rows: 200,
        ..Shape::default()
    };
    let producer = Producer::single(&mut random, shape);
    for _ in 0..soak(ROUNDS) {
        testbed.receiver("behind").set_behavior(Behavior::Closed);
        let begin = producer.acknowledged(Kind::Performance).len();
        let host = testbed.setup.start();
        producer.send(&host, 20);
        testbed.wait_until_idle(&host, [testbed.exporter("well")]);
        let (status, log) = host.stop();
        assert!(status.success(), "{log}");

        damage(&testbed, &mut random);
        testbed.receiver("behind").set_behavior(Behavior::Accept);
        let mut aside = moved_aside(&testbed);
        let mut from = begin;
        let host = testbed.setup.start();
        let watch = Watch::start(&testbed, &host);
        for _ in 0..2 {
            producer.send(&host, 5);
            testbed.wait_until_idle(&host, &testbed.exporters);
            let rows = producer.acknowledged(Kind::Performance);
            // Damage that the host finds only now loses earlier rows too.
            if moved_aside(&testbed) == aside {
                assert_arrived(&testbed, &host, &rows, from);
            }
            aside = moved_aside(&testbed);
            from = rows.len();
        }
        watch.finish();
        host.kill();
    }
}
