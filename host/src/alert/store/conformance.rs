//! What holds for every implementation of [`AlertStore`]: the tests that it must pass.
//!
//! An implementation calls [`alert_store_conformance`] with a [`NewStore`], and has a test for each of
//! these properties. What is special to it, such as damaged files, it tests itself.

use std::sync::Arc;

use super::{AlertStore, StoredTable};
use crate::{
    alert::{
        identity::AlertIdentity,
        table::TableChanges,
        texts::AlertTexts,
        tracked::{AlertEnd, TrackedAlert},
    },
    batch::Seq,
};

/// Opens one store, again and again.
pub(super) type OpenStore = Box<dyn Fn() -> (Box<dyn AlertStore>, StoredTable)>;

/// Makes an empty store.
pub(super) type NewStore = fn() -> OpenStore;

pub(super) fn a_new_store_is_empty(new: NewStore) {
    let (_store, stored) = new()();
    assert_eq!((stored.next, stored.alerts), (None, Vec::new()));
}

pub(super) fn what_was_saved_is_opened_as_it_was(new: NewStore) {
    let open = new();
    let ended = TrackedAlert {
        end: Some(AlertEnd {
            occur_time: -1,
            seen_ms: 1_700_000_000_001,
        }),
        is_ingested: true,
        ..alert(["s", "", "disk", "bay 1", "7"])
    };
    let awkward = TrackedAlert {
        occur_time: i64::MIN,
        last_seq: Seq(i64::MAX.unsigned_abs()),
        texts: AlertTexts::new([
            ("description", "a \"quote\", a \\, a\nline, a \0 and 🐬"),
            ("", "no name"),
            ("empty", ""),
        ]),
        ..alert(["s'; DROP TABLE alerts; --", "key \0 🐬", "", "", ""])
    };
    let alerts = [ended, awkward, alert(["s", "", "disk", "bay 1", "8"])];
    save(&open, Seq(9), &alerts, &[]);
    assert_eq!(opened(&open), (Some(Seq(9)), sorted(&alerts)));
}

pub(super) fn an_alert_is_replaced_by_one_of_the_same_identity(new: NewStore) {
    let open = new();
    let first = alert(["s", "", "fan", "left", "1"]);
    save(&open, Seq(2), std::slice::from_ref(&first), &[]);
    let again = TrackedAlert {
        last_seen_ms: 99,
        last_seq: Seq(2),
        texts: AlertTexts::new([("severity", "Minor")]),
        ..first
    };
    save(&open, Seq(3), std::slice::from_ref(&again), &[]);
    assert_eq!(opened(&open), (Some(Seq(3)), vec![again]));
}

pub(super) fn an_alert_is_removed_and_those_that_differ_in_one_text_stay(new: NewStore) {
    let open = new();
    let removed = ["s", "k", "fan", "left", "1"];
    let mut others = Vec::new();
    for differs in 0..removed.len() {
        let mut texts = removed;
        texts[differs] = "other";
        others.push(alert(texts));
    }
    let all: Vec<TrackedAlert> = [alert(removed)].into_iter().chain(others.clone()).collect();
    save(&open, Seq(2), &all, &[]);
    save(&open, Seq(3), &[], &[removed]);
    // An alert that the store does not have.
    save(&open, Seq(4), &[], &[removed]);
    assert_eq!(opened(&open), (Some(Seq(4)), sorted(&others)));
}

pub(super) fn the_position_is_that_of_the_last_save_also_if_it_went_back(new: NewStore) {
    let open = new();
    let (mut store, _) = open();
    for next in [5, 7, 3] {
        store.save(Seq(next), &TableChanges::default()).unwrap();
    }
    drop(store);
    assert_eq!(opened(&open), (Some(Seq(3)), Vec::new()));
}

fn alert(identity: [&str; 5]) -> TrackedAlert {
    TrackedAlert {
        identity: Arc::new(AlertIdentity::new(identity)),
        occur_time: 7,
        texts: AlertTexts::new([("severity", "Major")]),
        first_seen_ms: 8,
        last_seen_ms: 9,
        last_seq: Seq(1),
        is_ingested: false,
        end: None,
    }
}

fn save(open: &OpenStore, next: Seq, updated: &[TrackedAlert], removed: &[[&str; 5]]) {
    let changes = TableChanges {
        updated: updated.iter().cloned().map(Arc::new).collect(),
        removed: removed
            .iter()
            .map(|identity| Arc::new(AlertIdentity::new(*identity)))
            .collect(),
    };
    open().0.save(next, &changes).unwrap();
}

/// What a store has when it is opened again, in the order of the identities.
fn opened(open: &OpenStore) -> (Option<Seq>, Vec<TrackedAlert>) {
    let (_store, stored) = open();
    (stored.next, sorted(&stored.alerts))
}

fn sorted(alerts: &[TrackedAlert]) -> Vec<TrackedAlert> {
    let mut alerts = alerts.to_vec();
    alerts.sort_by(|a, b| a.identity.cmp(&b.identity));
    alerts
}

/// A test for each property, of the stores that a [`NewStore`] makes.
macro_rules! alert_store_conformance {
    ($new:expr, $is_available:expr) => {
        $crate::alert::store::conformance::alert_store_conformance! {
            @ $new, $is_available;
            a_new_store_is_empty, what_was_saved_is_opened_as_it_was, an_alert_is_replaced_by_one_of_the_same_identity, an_alert_is_removed_and_those_that_differ_in_one_text_stay, the_position_is_that_of_the_last_save_also_if_it_went_back
        }
    };
    (@ $new:expr, $is_available:expr; $($property:ident),*) => {
        $(
            #[test]
            fn $property() {
                if $is_available {
                    $crate::alert::store::conformance::$property($new);
                }
            }
        )*
    };
}
pub(super) use alert_store_conformance;
