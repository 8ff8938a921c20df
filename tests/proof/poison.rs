//! Rows that a receiver will never take, among others, and rows that are hidden.

use std::collections::BTreeSet;

use delfin_plugin_api::Kind;
use delfin_tests::{Mood, Row};
use serde_json::json;

use crate::{
    judge::{self, Fate},
    producer::{Producer, Shape},
    random,
    stage::{Exporter, Plan},
    watch::Watch,
};

fn fate(exporter: &Exporter, row: &Row) -> Fate {
    let hidden = row.name.ends_with("-hidden");
    match exporter.name.as_str() {
        "choosy" if hidden => Fate::Filtered,
        "well" | "file" => Fate::Delivered,
        _ if row.is_poison() => Fate::DeadLettered,
        _ => Fate::Delivered,
    }
}

#[test]
fn exactly_the_poison_rows_become_dead_letters_and_all_others_arrive() {
    let stage = Plan::default()
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
    let moods = [
        ("whole-400", Mood::RefusesWhole(400)),
        ("rows-207", Mood::RefusesRows(207)),
        ("rows-422", Mood::RefusesRows(422)),
        ("choosy", Mood::RefusesWhole(422)),
        ("whole-alerts", Mood::RefusesWhole(409)),
        ("rows-alerts", Mood::RefusesRows(200)),
    ];
    for (name, mood) in moods {
        stage.receiver(name).be(mood);
    }
    let mut random = random();
    let shape = Shape {
        rows: 60,
        poison: 0.02,
        hidden: 0.1,
    };
    let producer = Producer::new(&mut random, shape);
    let host = stage.setup.start();
    let watch = Watch::begin(&stage, &host);
    producer.hand_in(&host, 15);
    judge::all(&stage, &host, &producer, fate);

    // Once they take everything, what was put aside arrives as well.
    for (name, _) in moods {
        stage.receiver(name).be(Mood::Well);
        let which = json!({ "exporter": name });
        let (status, taken) = host.send("POST", "/v1/dead-letters/replay", Some(&which));
        assert_eq!(status, 200, "{taken}");
        let exporter = stage.exporter(name);
        let rows = producer.acknowledged(exporter.kind);
        let poison = rows.iter().filter(|row| row.is_poison());
        let poison: u64 = poison.map(|row| row.items).sum();
        assert_eq!(taken["items"], poison, "{name}");
    }
    stage.wait_until_idle(&host, &stage.exporters);
    for (name, _) in moods {
        let exporter = stage.exporter(name);
        let arrived: BTreeSet<Row> = stage.arrived(exporter).into_iter().collect();
        for row in producer.acknowledged(exporter.kind) {
            let wanted = fate(exporter, &row) != Fate::Filtered;
            assert_eq!(arrived.contains(&row), wanted, "{name}: {row:?}");
        }
        assert!(judge::dead_letters(&host, name).is_empty(), "{name}");
    }
    assert!(watch.end() > 0);
}
