//! `kill -9` in a loop, under load, while receivers and plugins misbehave; and a
//! stop as it should be, now and then.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use delfin_plugin_api::Kind;
use delfin_tests::{Mood, soak};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use rustix::process::Signal;

use crate::{
    judge,
    producer::{Producer, Shape},
    random,
    stage::{Plan, Stage},
    watch::Watch,
};

const ROUNDS: u32 = 12;

const MOODS: [Mood; 11] = [
    Mood::Well,
    Mood::Well,
    Mood::Well,
    Mood::Closed,
    Mood::Stall,
    Mood::Cut,
    Mood::Status(401),
    Mood::Status(500),
    Mood::Busy(429),
    Mood::AtMost(2),
    Mood::TakesHalf,
];

const WORDS: [&str; 8] = [
    "deliver", "deliver", "leak", "retry", "fatal", "panic", "nonsense", "hang",
];

#[test]
fn whatever_was_acknowledged_arrives_everywhere_though_the_host_is_killed_again_and_again() {
    let stage = Plan::default()
        .hook("hook-1", Kind::Performance, "")
        .hook("hook-2", Kind::Performance, "ordering = \"strict\"")
        .scripted(
            "scripted",
            "PerformanceExporterScripted",
            "timeout = \"200ms\"",
        )
        .file("file", Kind::Performance)
        .hook("hook-3", Kind::Alert, "")
        .hook("hook-4", Kind::Alert, "")
        .build();
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    for _ in 0..soak(ROUNDS) {
        round(&stage, &producer, &mut random);
    }

    for receiver in stage.receivers() {
        receiver.be(Mood::Well);
    }
    stage.script("scripted", "deliver");
    acquit(&stage);
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 2);
    judge::all_delivered(&stage, &host, &producer);
    watch.end();
    let (status, said) = host.stop();
    assert!(status.success(), "{said}");
}

/// Lets clients work for a random while, and kills the host under them.
fn round(stage: &Stage, producer: &Producer, random: &mut StdRng) {
    let host = stage.setup.start();
    let watch = Watch::begin(stage, &host);
    let over = AtomicBool::new(false);
    let is_orderly = random.random_bool(0.2);
    thread::scope(|scope| {
        scope.spawn(|| producer.hand_in_until(&host, &over));
        for _ in 0..random.random_range(1..8) {
            for receiver in stage.receivers() {
                receiver.be(*MOODS.choose(random).expect("a mood"));
            }
            stage.script("scripted", WORDS.choose(random).expect("a word"));
            pause(random, 250);
        }
        if is_orderly {
            host.signal(Signal::TERM);
        } else {
            host.kill_now();
        }
        over.store(true, Ordering::Relaxed);
    });
    if is_orderly {
        let (status, said) = host.stop();
        assert!(status.success(), "{said}");
    }
    watch.end();
    if random.random_bool(0.3) {
        // Killed while it starts, too.
        let host = stage.setup.spawn();
        pause(random, 300);
        host.kill();
    }
}

/// A host that is killed three times while an exporter waits for its receiver takes
/// that for the exporter's doing, and leaves it alone until somebody has acted.
fn acquit(stage: &Stage) {
    for exporter in &stage.exporters {
        // One that was never called has none.
        let _ = fs::remove_file(stage.setup.path("state/calls").join(&exporter.name));
    }
}

/// The moment of a kill is what is random here; nothing waits for anything.
fn pause(random: &mut StdRng, up_to_ms: u64) {
    thread::sleep(Duration::from_millis(random.random_range(0..up_to_ms)));
}
