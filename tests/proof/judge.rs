//! Compares, item by item, what was acknowledged with what became of it.

use std::collections::{BTreeMap, BTreeSet};

use delfin_tests::{Host, Row};
use serde_json::Value;

use crate::{
    producer::Producer,
    stage::{Exporter, Stage},
};

/// What has to have become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Delivered,
    DeadLettered,
    Dropped,
    Filtered,
}

/// Checks that every row was delivered to every exporter.
pub(crate) fn all_delivered(stage: &Stage, host: &Host, producer: &Producer) {
    all(stage, host, producer, |_, _| Fate::Delivered);
}

/// Checks that, once nothing is pending, each row met with its fate at each
/// exporter, and no other.
pub(crate) fn all(
    stage: &Stage,
    host: &Host,
    producer: &Producer,
    fate: impl Fn(&Exporter, &Row) -> Fate,
) {
    producer.finish(host);
    stage.wait_until_idle(host, &stage.exporters);
    for exporter in &stage.exporters {
        let rows = producer.acknowledged(exporter.kind);
        assert!(!rows.is_empty(), "nothing was handed in");
        one(stage, host, exporter, &rows, |row| fate(exporter, row));
    }
}

/// Checks one exporter.
pub(crate) fn one(
    stage: &Stage,
    host: &Host,
    exporter: &Exporter,
    acknowledged: &[Row],
    fate: impl Fn(&Row) -> Fate,
) {
    let name = exporter.name.as_str();
    let arrived = stage.arrived(exporter);
    let firsts = firsts(&arrived);
    let mut items: BTreeMap<Fate, u64> = BTreeMap::new();
    let mut letters = BTreeSet::new();
    for row in acknowledged {
        let fate = fate(row);
        let there = firsts.get(row.name.as_str()).map(|at| &arrived[*at]);
        match (fate, there) {
            (Fate::Delivered, there) => assert_eq!(there, Some(row), "{name}: acknowledged"),
            (_, there) => assert_eq!(there, None, "{name}: {row:?} should be {fate:?}"),
        }
        if fate == Fate::DeadLettered {
            letters.insert(row.name.clone());
        }
        *items.entry(fate).or_default() += row.items;
    }
    let known: BTreeSet<&str> = acknowledged.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(known.len(), acknowledged.len(), "acknowledged twice");
    let strange = firsts.keys().find(|name| !known.contains(*name));
    assert_eq!(strange, None, "{name} has what nobody has acknowledged");
    assert_ordered(name, &arrived, &firsts);
    assert_eq!(dead_letters(host, name), letters, "{name}: dead letters");
    assert_counts(host, name, &items);
}

/// Where each row came first.
fn firsts(arrived: &[Row]) -> BTreeMap<&str, usize> {
    let mut firsts = BTreeMap::new();
    for (at, row) in arrived.iter().enumerate() {
        firsts.entry(row.name.as_str()).or_insert(at);
    }
    firsts
}

/// Rows of one storage came in the order in which they were handed in, which is
/// that of their names.
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

fn assert_counts(host: &Host, exporter: &str, items: &BTreeMap<Fate, u64>) {
    let view = host.exporter(exporter);
    let counts = [
        ("delivered", Fate::Delivered),
        ("dead_lettered", Fate::DeadLettered),
        ("dropped", Fate::Dropped),
        ("filtered", Fate::Filtered),
    ];
    for (count, fate) in counts {
        let wanted = items.get(&fate).copied().unwrap_or(0);
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

/// The names of the rows that an exporter's dead letters hold.
pub(crate) fn dead_letters(host: &Host, exporter: &str) -> BTreeSet<String> {
    let (status, answer) = host.get(&format!(
        "/v1/dead-letters?exporter={exporter}&limit=100000"
    ));
    assert_eq!(status, 200, "{answer}");
    let letters = list(&answer["dead_letters"]);
    let names = letters.iter().flat_map(|letter| {
        let id = letter["id"].as_str().unwrap_or_default();
        let (status, letter) = host.get(&format!("/v1/dead-letters/{id}"));
        assert_eq!(status, 200, "{letter}");
        list(&letter["content"])
    });
    let names: Vec<String> = names.map(|item| Row::of_json(&item).name).collect();
    let all: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(
        all.len(),
        names.len(),
        "{exporter}: a row is in two letters"
    );
    all
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
