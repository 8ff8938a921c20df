//! What a receiver gets.

use std::collections::BTreeSet;

use delfin_plugin_api::{AlertBatchBuilder, NewAlert, sample, testkit::Harness};
use delfin_tests::{LONG_TEXT, wait_for};
use serde_json::json;

use crate::{
    ALERTS,
    support::{ENGINE, Receiver, numbered},
};

/// The number of the object `delfinAlertSequenceNumber`.
const SEQUENCE_NUMBER: u32 = 11;
const DESCRIPTION: u32 = 17;

#[test]
fn nothing_is_missing_after_the_receiver_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut receiver) = Receiver::start() else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &receiver.user());
    let sender = std::thread::spawn(move || {
        for batch in 0..20 {
            let alerts = numbered(batch * 20..batch * 20 + 20);
            wait_for("a delivered batch", || exporter.send(&alerts).ok());
        }
    });
    let numbers = |receiver: &Receiver| -> Vec<usize> {
        let received = receiver.snmptrapd.notifications();
        let number = received
            .iter()
            .map(|one| one.text(SEQUENCE_NUMBER).parse().unwrap());
        number.collect()
    };
    for reached in [50, 200] {
        wait_for("notifications", || {
            (numbers(&receiver).len() >= reached).then_some(())
        });
        receiver.snmptrapd.kill();
        receiver.snmptrapd.restart();
    }
    sender.join().unwrap();
    let found = numbers(&receiver);
    let each: BTreeSet<usize> = found.iter().copied().collect();
    assert_eq!(each, (0..400).collect());
    assert_eq!(found.last(), Some(&399));
}

#[test]
fn awkward_texts_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(receiver) = Receiver::start() else {
        return;
    };
    let texts = [
        "\"quoted\" \\back\\slash",
        "line\nbreak\r\ttab\0",
        "grüße 数据 🦀",
        "",
        LONG_TEXT,
    ];
    let mut batch = AlertBatchBuilder::new();
    for text in texts {
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts: &[
                ("storage_id", "s"),
                ("description", text),
                ("severity", "Major"),
                ("fan \"1\"\n", text),
            ],
        });
    }
    let batch = batch.build();
    for settings in [receiver.community(), receiver.user()] {
        let mut exporter = harness.start(ALERTS, &settings);
        assert_eq!(exporter.send(&batch), Ok(()));
    }
    let received = receiver.snmptrapd.notifications();
    assert_eq!(received.len(), 2 * texts.len());
    // The notification with the long one would not fit into a packet.
    let shown = |text: &str| match text.len() {
        0..256 => text.to_owned(),
        _ => format!("{}…", &text[..256 - "…".len()]),
    };
    for (one, text) in received.iter().zip(texts.repeat(2)) {
        assert_eq!(one.oid, ".1.3.6.1.4.1.32473.1.0.1");
        assert_eq!(one.text(DESCRIPTION), shown(text));
        assert_eq!(
            (one.text(2), one.text(21)),
            ("4".to_owned(), "ingest".to_owned())
        );
        if text.len() < 1000 {
            let extra: serde_json::Value = serde_json::from_str(&one.text(20)).unwrap();
            assert_eq!(extra, json!({ "fan \"1\"\n": text }));
        }
        assert_eq!(one.bytes(3), [7, 231, 11, 14, 22, 13, 20, 0, b'+', 0, 0]);
    }
}

#[test]
fn traps_of_both_versions_arrive() {
    let harness = Harness::of_crate();
    let Some(receiver) = Receiver::start() else {
        return;
    };
    let mut community = receiver.community();
    community["notification"] = json!("trap");
    let mut user = receiver.user();
    user["notification"] = json!("trap");
    user["engine_id"] = json!(ENGINE);
    for (count, settings) in [(3, &community), (6, &user), (9, &user)] {
        let mut exporter = harness.start(ALERTS, settings);
        assert_eq!(exporter.send(&numbered(0..3)), Ok(()));
        wait_for("traps", || {
            (receiver.snmptrapd.notifications().len() == count).then_some(())
        });
    }
}
