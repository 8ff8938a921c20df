//! Poison rows, which a receiver never accepts, and hidden rows, which a filter removes.

use std::collections::BTreeSet;

use delfin_plugin_api::Kind;
use delfin_tests::{Behavior, Row};
use serde_json::json;

use crate::{
    accounting::{self, Disposition},
    producer::{Producer, Shape},
    random,
    testbed::{Exporter, Mode, TestbedBuilder},
    watch::Watch,
};

fn disposition(exporter: &Exporter, row: &Row) -> Disposition {
    let hidden = row.name.ends_with("-hidden");
    match exporter.name.as_str() {
        "choosy" if hidden => Disposition::Filtered,
        "well" | "file" => Disposition::Delivered,
        _ if row.is_poison() => Disposition::DeadLettered,
        _ => Disposition::Delivered,
    }
}

#[test]
fn exactly_the_poison_rows_become_dead_letters_and_all_others_arrive() {
    prove(Mode::Process);
}

#[test]
fn exactly_the_poison_rows_become_dead_letters_of_exporters_in_threads_too() {
    prove(Mode::Thread);
}

fn prove(mode: Mode) {
    let testbed = TestbedBuilder::new(mode)
        .hook("whole-400", Kind::Performance, "")
        .hook("rows-207", Kind::Performance, "")
        .hook("rows-422", Kind::Performance, "")
        .hook(
            "choosy",
            Kind::Performance,
            "filter.exclude = [\"name=*-hidden\"]",
        )
        .hook("well", Kind::Performance, "")
        .file("file", Kind::Performance)
        .hook("whole-alerts", Kind::Alert, "")
        .hook("rows-alerts", Kind::Alert, "")
        .build();
    let behaviors = [
        ("whole-400", Behavior::RejectRequest(400)),
        ("rows-207", Behavior::RejectRows(207)),
        ("rows-422", Behavior::RejectRows(422)),
        ("choosy", Behavior::RejectRequest(422)),
        ("whole-alerts", Behavior::RejectRequest(409)),
        ("rows-alerts", Behavior::RejectRows(200)),
    ];
    for (name, behavior) in behaviors {
        testbed.receiver(name).set_behavior(behavior);
    }
    let mut random = random();
    let shape = Shape {
        rows: 60,
        poison: 0.02,
        hidden: 0.1,
    };
    let producer = Producer::new(&mut random, shape);
    let host = testbed.setup.start();
    let watch = Watch::start(&testbed, &host);
    producer.send(&host, 15);
    accounting::assert_all(&testbed, &host, &producer, disposition);

    // Once the receivers accept everything, a replay delivers the dead letters.
    for (name, _) in behaviors {
        testbed.receiver(name).set_behavior(Behavior::Accept);
        let which = json!({ "exporter": name });
        let (status, taken) = host.send("POST", "/v1/dead-letters/replay", Some(&which));
        assert_eq!(status, 200, "{taken}");
        let exporter = testbed.exporter(name);
        let rows = producer.acknowledged(exporter.kind);
        let poison = rows.iter().filter(|row| row.is_poison());
        let poison: u64 = poison.map(|row| row.items).sum();
        assert_eq!(taken["items"], poison, "{name}");
    }
    testbed.wait_until_idle(&host, &testbed.exporters);
    for (name, _) in behaviors {
        let exporter = testbed.exporter(name);
        let arrived: BTreeSet<Row> = testbed.arrived(exporter).into_iter().collect();
        for row in producer.acknowledged(exporter.kind) {
            let wanted = disposition(exporter, &row) != Disposition::Filtered;
            assert_eq!(arrived.contains(&row), wanted, "{name}: {row:?}");
        }
        assert!(accounting::dead_letters(&host, name).is_empty(), "{name}");
    }
    assert!(watch.finish() > 0);
}
