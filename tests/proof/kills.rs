//! `kill -9` in a loop, under load, while receivers and plugins fail; some rounds stop the host with
//! SIGTERM.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use delfin_plugin_api::Kind;
use delfin_tests::{Behavior, soak};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use rustix::process::Signal;

use crate::{
    accounting,
    producer::{Producer, Shape},
    random,
    testbed::{Mode, Testbed, TestbedBuilder},
    watch::Watch,
};

/// In each mode.
const ROUNDS: u32 = 6;

const BEHAVIORS: [Behavior; 11] = [
    Behavior::Accept,
    Behavior::Accept,
    Behavior::Accept,
    Behavior::Closed,
    Behavior::Stall,
    Behavior::Cut,
    Behavior::Status(401),
    Behavior::Status(500),
    Behavior::Busy(429),
    Behavior::AtMost(2),
    Behavior::AcceptHalf,
];

const WORDS: [&str; 10] = [
    "deliver",
    "deliver",
    "leak",
    "retry",
    "fatal",
    "panic",
    "invalid-rows",
    "hang",
    // Of its own process. The last two words are not for threads.
    "raise-kill",
    "raise-term",
];

#[test]
fn every_acknowledged_row_arrives_at_every_exporter_although_the_host_is_killed_repeatedly() {
    prove(Mode::Process);
}

#[test]
fn every_acknowledged_row_arrives_at_every_exporter_in_a_thread_too() {
    prove(Mode::Thread);
}

fn prove(mode: Mode) {
    let (timeout, words) = match mode {
        // A process has to start within this time.
        Mode::Process => ("timeout = \"1s\"", &WORDS[..]),
        Mode::Thread => ("timeout = \"200ms\"", &WORDS[..WORDS.len() - 2]),
    };
    let testbed = TestbedBuilder::new(mode)
        .hook("hook-1", Kind::Performance, "")
        .hook("hook-2", Kind::Performance, "ordering = \"strict\"")
        .scripted("scripted", "PerformanceExporterScripted", timeout)
        .file("file", Kind::Performance)
        .hook("hook-3", Kind::Alert, "")
        .hook("hook-4", Kind::Alert, "")
        .build();
    let mut random = random();
    let producer = Producer::new(&mut random, Shape::default());
    for _ in 0..soak(ROUNDS) {
        round(&testbed, &producer, &mut random, words);
    }

    for receiver in testbed.receivers() {
        receiver.set_behavior(Behavior::Accept);
    }
    testbed.script("scripted", "deliver");
    remove_crash_guards(&testbed);
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 2);
    accounting::assert_all_delivered(&testbed, &host, &producer);
    watch.finish();
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

/// Lets clients send for a random time, and kills the host meanwhile.
fn round(testbed: &Testbed, producer: &Producer, random: &mut StdRng, words: &[&str]) {
    let host = testbed.setup.start();
    let watch = Watch::start(testbed, &host);
    let over = AtomicBool::new(false);
    let is_orderly = random.random_bool(0.2);
    thread::scope(|scope| {
        scope.spawn(|| producer.send_until(&host, &over));
        for _ in 0..random.random_range(1..8) {
            for receiver in testbed.receivers() {
                receiver.set_behavior(*BEHAVIORS.choose(random).expect("a behavior"));
            }
            testbed.script("scripted", words.choose(random).expect("a word"));
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
        let (status, log) = host.stop();
        assert!(status.success(), "{log}");
    }
    watch.finish();
    if random.random_bool(0.3) {
        // Also killed while it starts.
        let host = testbed.setup.spawn();
        pause(random, 300);
        host.kill();
    }
}

/// Removes the crash guards. A host that is killed three times during calls of an exporter
/// quarantines the exporter until an operator removes its crash guard.
fn remove_crash_guards(testbed: &Testbed) {
    for exporter in &testbed.exporters {
        // An exporter that was never called has none.
        let _ = fs::remove_file(testbed.setup.path("state/calls").join(&exporter.name));
    }
}

/// Makes the moment of a kill random. No test waits for a condition this way.
fn pause(random: &mut StdRng, up_to_ms: u64) {
    thread::sleep(Duration::from_millis(random.random_range(0..up_to_ms)));
}
