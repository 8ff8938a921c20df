//! Compares each acknowledged row with its disposition.

use std::collections::{BTreeMap, BTreeSet};

use delfin_tests::{Host, Row};
use serde_json::Value;

use crate::{
    producer::Producer,
    testbed::{Exporter, Testbed},
};

/// The expected final state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Disposition {
    Delivered,
    DeadLettered,
    Dropped,
    Filtered,
}

/// Checks that every row was delivered to every exporter.
pub(crate) fn assert_all_delivered(testbed: &Testbed, host: &Host, producer: &Producer) {
    assert_all(testbed, host, producer, |_, _| Disposition::Delivered);
}

/// Checks that, once nothing is pending, each row has the expected disposition at each exporter.
pub(crate) fn assert_all(
    testbed: &Testbed,
    host: &Host,
    producer: &Producer,
    disposition: impl Fn(&Exporter, &Row) -> Disposition,
) {
    producer.finish(host);
    testbed.wait_until_idle(host, &testbed.exporters);
    for exporter in &testbed.exporters {
        let rows = producer.acknowledged(exporter.kind);
        assert!(!rows.is_empty(), "no row was sent");
        assert_exporter(testbed, host, exporter, &rows, |row| {
            disposition(exporter, row)
        });
    }
}

/// Checks the rows, their order, the dead letters and the counts of one exporter.
pub(crate) fn assert_exporter(
    testbed: &Testbed,
    host: &Host,
    exporter: &Exporter,
    acknowledged: &[Row],
    disposition: impl Fn(&Row) -> Disposition,
) {
    let name = exporter.name.as_str();
    let arrived = testbed.arrived(exporter);
    let firsts = firsts(&arrived);
    let mut items: BTreeMap<Disposition, u64> = BTreeMap::new();
    let mut dead_rows = BTreeSet::new();
    for row in acknowledged {
        let disposition = disposition(row);
        let there = firsts.get(row.name.as_str()).map(|at| &arrived[*at]);
        match (disposition, there) {
            (Disposition::Delivered, there) => assert_eq!(there, Some(row), "{name}: acknowledged"),
            (_, there) => assert_eq!(there, None, "{name}: {row:?} should be {disposition:?}"),
        }
        if disposition == Disposition::DeadLettered {
            dead_rows.insert(row.name.clone());
        }
        *items.entry(disposition).or_default() += row.items;
    }
    let known: BTreeSet<&str> = acknowledged.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(known.len(), acknowledged.len(), "acknowledged twice");
    let strange = firsts.keys().find(|name| !known.contains(*name));
    assert_eq!(strange, None, "{name} has a row that was not acknowledged");
    assert_ordered(name, &arrived, &firsts);
    assert_eq!(dead_letters(host, name), dead_rows, "{name}: dead letters");
    assert_counts(host, name, &items);
}

/// The index of the first arrival of each row.
fn firsts(arrived: &[Row]) -> BTreeMap<&str, usize> {
    let mut firsts = BTreeMap::new();
    for (at, row) in arrived.iter().enumerate() {
        firsts.entry(row.name.as_str()).or_insert(at);
    }
    firsts
}

/// Rows of one storage arrive in the order in which clients sent them, which is the order of their
/// names.
fn assert_ordered(exporter: &str, arrived: &[Row], firsts: &BTreeMap<&str, usize>) {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for (at, row) in arrived.iter().enumerate() {
        if firsts[row.name.as_str()] != at {
            continue;
        }
        if let Some(before) = last.insert(&row.storage_id, &row.name) {
            assert!(
                before < row.name.as_str(),
                "{exporter}: `{}` came after `{before}`: {:?}",
                row.name,
                &arrived[at.saturating_sub(30)..=at]
            );
        }
    }
}

fn assert_counts(host: &Host, exporter: &str, items: &BTreeMap<Disposition, u64>) {
    let view = host.exporter(exporter);
    let counts = [
        ("delivered", Disposition::Delivered),
        ("dead_lettered", Disposition::DeadLettered),
        ("dropped", Disposition::Dropped),
        ("filtered", Disposition::Filtered),
    ];
    for (count, disposition) in counts {
        let wanted = items.get(&disposition).copied().unwrap_or(0);
        assert_eq!(view[count], wanted, "{exporter}: {count}: {view}");
    }
    let metrics = host.metrics();
    let of = |name: &str| metrics.of_exporter(exporter, &format!("delfin_host_exporter_{name}"));
    let accepted = items.values().sum::<u64>() as f64;
    assert!(
        of("accepted_items_total") == accepted,
        "{exporter}: {accepted} were acknowledged, {} accepted",
        of("accepted_items_total")
    );
    assert!(of("unaccounted_items") == 0.0, "{exporter}");
}

/// The names of the rows in the dead letters of an exporter.
pub(crate) fn dead_letters(host: &Host, exporter: &str) -> BTreeSet<String> {
    let (status, answer) = host.get(&format!(
        "/v1/dead-letters?exporter={exporter}&limit=100000"
    ));
    assert_eq!(status, 200, "{answer}");
    let dead_letters = list(&answer["dead_letters"]);
    let names = dead_letters.iter().flat_map(|dead_letter| {
        let id = dead_letter["id"].as_str().unwrap_or_default();
        let (status, answer) = host.get(&format!("/v1/dead-letters/{id}"));
        assert_eq!(status, 200, "{answer}");
        list(&answer["content"])
    });
    let names: Vec<String> = names.map(|item| Row::from_json(&item).name).collect();
    let all: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(
        all.len(),
        names.len(),
        "{exporter}: a row is in two dead letters"
    );
    all
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
