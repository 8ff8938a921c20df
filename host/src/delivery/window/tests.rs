//! Whatever becomes of calls, each item gets one disposition, in order, and the
//! journal is told so in a way that it accepts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use delfin_plugin_api::{Batch, Origin, PerformanceBatch, PerformanceBatchBuilder};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{batch::Header, journal::RowSpan};

const ROOM: Size = Size {
    items: u64::MAX,
    bytes: u64::MAX,
};

/// A record: its storage, and how many points each of its series has. A series
/// is named by record and row.
fn record(seq: u64, storage: Option<u8>, points: &[usize]) -> Arc<StoredBatch> {
    let mut batch = PerformanceBatchBuilder::new();
    for (row, &points) in points.iter().enumerate() {
        let points = (0..points).map(|point| (point as i64, 0.5));
        let labels: [(&str, &str); 0] = [];
        batch
            .series(&format!("{seq}/{row}"), labels, points)
            .unwrap();
    }
    let batch = batch.build();
    Arc::new(StoredBatch {
        seq: Seq(seq),
        header: Header {
            batch_id: Uuid::now_v7(),
            origin: Origin::Ingest,
            storage_id: storage.map(|storage| storage.to_string()),
            complete: true,
            accepted_ms: now_ms(),
            items: batch.items(),
        },
        arrow: batch.as_arrow().clone(),
    })
}

fn window(next: u64) -> Window {
    Window::new(cursor(Position::at(Seq(next)), Vec::new()))
}

fn cursor(next: Position, ahead: Vec<RowSpan>) -> Cursor {
    Cursor {
        exporter: "e".to_owned(),
        next,
        created_ms: 0,
        last_success_ms: None,
        last_error: None,
        last_error_ms: None,
        ahead,
        replay_end: None,
        unused_since_ms: None,
    }
}

fn pick(window: &mut Window, size: Size) -> Option<Shipment> {
    match window.pick(size, DeliveryOrder::PerKey, Duration::ZERO) {
        Pick::Send(shipment) => Some(shipment),
        Pick::Later(_) | Pick::Nothing => None,
    }
}

fn sent(shipment: &Shipment) -> Vec<String> {
    let batch = PerformanceBatch::try_from_arrow(shipment.outgoing().unwrap().arrow).unwrap();
    batch
        .series()
        .map(|series| series.name().to_owned())
        .collect()
}

fn all(shipment: &Shipment, fate: Fate) -> [(Range<usize>, Fate); 1] {
    [(0..shipment.rows(), fate)]
}

fn refused() -> Fate {
    Fate::Rejected {
        code: 1,
        reason: "why".to_owned(),
    }
}

#[test]
fn small_records_go_together_and_large_ones_in_pieces() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[1, 1]), None);
    window.push(record(2, Some(2), &[1]), None);
    window.push(record(3, Some(1), &[2, 2, 2]), None);
    let four = Size { items: 4, ..ROOM };
    let mut calls = Vec::new();
    while let Some(shipment) = pick(&mut window, four) {
        calls.push(sent(&shipment));
        window.settle(&shipment, &all(&shipment, Fate::Delivered));
    }
    assert_eq!(
        calls,
        [vec!["1/0", "1/1", "2/0"], vec!["3/0", "3/1"], vec!["3/2"]]
    );
    assert_eq!(window.position(), Position::at(Seq(4)));
}

#[test]
fn what_waits_holds_up_its_own_storage_alone() {
    let mut window = window(1);
    let late = Instant::now() + Duration::from_hours(1);
    for (seq, storage) in [(1, 1), (2, 2), (3, 1)] {
        window.push(record(seq, Some(storage), &[1]), None);
    }
    let one = Size { items: 1, ..ROOM };
    let first = pick(&mut window, one).unwrap();
    window.put_off(first.group, late);
    let second = pick(&mut window, one).unwrap();
    assert_eq!(sent(&second), ["2/0"]);
    let settled = window
        .settle(&second, &all(&second, Fate::Delivered))
        .settlement;
    assert_eq!(
        (settled.through, settled.delivered),
        (Position::at(Seq(1)), 1)
    );
    let ahead = RowSpan {
        seq: Seq(2),
        first_row: 0,
        rows: 1,
        items: 1,
    };
    assert_eq!(settled.ahead, [ahead]);
    assert!(pick(&mut window, one).is_none(), "`3/0` comes after `1/0`");
    assert!(window.waits(Instant::now()));
    window.hurry();
    let again = pick(&mut window, ROOM).unwrap();
    assert_eq!((sent(&again), again.attempt), (vec!["1/0".to_owned()], 2));
}

#[test]
fn a_restart_goes_on_where_the_cursor_says() {
    let next = Position {
        seq: Seq(1),
        row: 1,
        items: 2,
    };
    let ahead = RowSpan {
        seq: Seq(1),
        first_row: 2,
        rows: 1,
        items: 2,
    };
    let mut window = Window::new(cursor(next, vec![ahead]));
    assert_eq!(window.position(), next);
    window.push(record(1, Some(1), &[2, 2, 2, 2]), None);
    assert_eq!(window.position(), next);
    let shipment = pick(&mut window, ROOM).unwrap();
    assert_eq!(sent(&shipment), ["1/1", "1/3"]);
    let settled = window
        .settle(&shipment, &all(&shipment, Fate::Delivered))
        .settlement;
    assert_eq!(
        (settled.through, settled.delivered, settled.ahead),
        (Position::at(Seq(2)), 4, vec![])
    );
}

#[test]
fn rows_that_a_filter_keeps_back_are_settled_with_the_others() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[1, 2, 3, 4]), Some(vec![1, 3]));
    let shipment = pick(&mut window, ROOM).unwrap();
    assert_eq!(
        (sent(&shipment), shipment.items()),
        (vec!["1/1".to_owned(), "1/3".to_owned()], 6)
    );
    let fates = [(0..1, Fate::Delivered), (1..2, refused())];
    let settled = window.settle(&shipment, &fates);
    assert_eq!(
        (settled.settlement.delivered, settled.settlement.filtered),
        (2, 4)
    );
    assert_eq!(settled.given_up[0].items, 4);
    window.push(record(2, Some(1), &[1, 2]), Some(vec![]));
    let settled = window.filter_last().settlement;
    assert_eq!(
        (settled.filtered, settled.through),
        (3, Position::at(Seq(3)))
    );
}

#[test]
fn a_record_without_rows_is_sent_alone_and_settled() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[]), None);
    window.push(record(2, Some(1), &[1]), None);
    let shipment = pick(&mut window, ROOM).unwrap();
    assert_eq!(shipment.rows(), 0);
    assert!(shipment.outgoing().unwrap().parts[0].header.complete);
    let settled = window
        .settle(&shipment, &all(&shipment, Fate::Delivered))
        .settlement;
    assert_eq!(
        (settled.through, settled.items()),
        (Position::at(Seq(2)), 0)
    );
}

#[test]
fn what_was_dropped_meanwhile_is_not_settled_again() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[1]), None);
    window.push(record(2, Some(1), &[1]), None);
    let shipment = pick(&mut window, ROOM).unwrap();
    window.forget_before(Seq(2));
    let settled = window
        .settle(&shipment, &all(&shipment, Fate::Delivered))
        .settlement;
    assert_eq!(
        (settled.delivered, settled.through),
        (1, Position::at(Seq(3)))
    );
}

/// What becomes of a call.
#[derive(Clone, Debug)]
enum End {
    Delivered,
    Refused,
    Again,
    Halve,
    /// Rows up to the first share are delivered, up to the second refused.
    Mixed(u8, u8),
    /// Everything before a record is given up.
    GiveUp,
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Delivered),
        1 => Just(End::Refused),
        2 => Just(End::Again),
        2 => Just(End::Halve),
        3 => (0..100_u8, 0..100_u8).prop_map(|(a, b)| End::Mixed(a.min(b), a.max(b))),
        1 => Just(End::GiveUp),
    ]
}

fn records() -> impl Strategy<Value = Vec<(Option<u8>, Vec<usize>, u8)>> {
    let storage = prop_oneof![4 => (0..3_u8).prop_map(Some), 1 => Just(None)];
    let record = (
        storage,
        prop::collection::vec(0..4_usize, 0..6),
        any::<u8>(),
    );
    prop::collection::vec(record, 1..12)
}

/// A journal that believes nothing: it follows what settlements say, row by row.
#[derive(Default)]
struct Judge {
    /// The points of each row that is not settled.
    open: BTreeMap<(u64, u64), u64>,
    through: (u64, u64),
    ahead: BTreeSet<(u64, u64)>,
    settled: u64,
}

impl Judge {
    fn check(&mut self, settled: &Settled) {
        let settlement = &settled.settlement;
        let through = (settlement.through.seq.0, settlement.through.row);
        assert!(
            through >= self.through,
            "{through:?} after {:?}",
            self.through
        );
        self.through = through;
        let mut items = 0;
        for span in &settlement.ahead {
            for row in span.first_row..span.end_row() {
                assert!((span.seq.0, row) >= through);
                assert!(self.ahead.insert((span.seq.0, row)), "settled twice");
                items += self.open.remove(&(span.seq.0, row)).expect("open");
            }
        }
        let passed: Vec<_> = self.open.range(..through).map(|(&at, _)| at).collect();
        for at in passed {
            items += self.open.remove(&at).unwrap();
        }
        assert!(
            !self.ahead.contains(&through),
            "the cursor is inside settled rows"
        );
        let given_up: u64 = settled.given_up.iter().map(|rows| rows.items).sum();
        assert_eq!(settlement.items() + given_up, items);
        self.settled += items;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: delfin_tests::soak(512), ..ProptestConfig::default() })]

    #[test]
    fn every_item_is_settled_once_and_each_storage_in_its_order(
        records in records(),
        ends in prop::collection::vec(ends(), 1..60),
        room in 1..20_u64,
    ) {
        let mut window = window(1);
        let mut judge = Judge::default();
        let mut total = 0;
        let mut last: HashMap<Option<u8>, (u64, usize)> = HashMap::new();
        for (seq, (storage, points, mask)) in (1..).zip(&records) {
            for (row, &points) in (0..).zip(points) {
                judge.open.insert((seq, row), points as u64);
                total += points as u64;
            }
            let kept: Vec<u32> = (0..points.len() as u32).filter(|row| mask >> row & 1 == 0).collect();
            let kept = (kept.len() < points.len()).then_some(kept);
            let none = kept.as_ref().is_some_and(Vec::is_empty);
            window.push(record(seq, *storage, points), kept);
            if none {
                judge.check(&window.filter_last());
            }
        }
        let mut ends = ends.into_iter();
        let size = Size { items: room, ..ROOM };
        loop {
            let end = ends.next().unwrap_or(End::Delivered);
            let shipment = match window.pick(size, DeliveryOrder::PerKey, Duration::ZERO) {
                Pick::Send(shipment) => shipment,
                Pick::Later(_) => { window.hurry(); continue; }
                Pick::Nothing => break,
            };
            let rows = shipment.rows();
            let fates = match end {
                End::Delivered => vec![(0..rows, Fate::Delivered)],
                End::Refused => vec![(0..rows, refused())],
                End::Again => {
                    window.put_off(shipment.group, Instant::now() + Duration::from_hours(1));
                    continue;
                }
                End::Halve => {
                    if window.halve(&shipment) { continue; }
                    vec![(0..rows, refused())]
                }
                End::Mixed(a, b) => {
                    let (a, b) = (rows * usize::from(a) / 100, rows * usize::from(b) / 100);
                    window.put_off(shipment.group, Instant::now() + Duration::from_hours(1));
                    let all = [(0..a, Fate::Delivered), (a..b, refused()), (b..rows, Fate::Again)];
                    all.into_iter().filter(|(rows, _)| !rows.is_empty()).collect()
                }
                End::GiveUp => {
                    judge.check(&window.give_up_before(Seq(window.first().0 + 1), 1, "too much"));
                    vec![(0..rows, Fate::Delivered)]
                }
            };
            // What is settled of a storage comes after what was settled of it before.
            for (range, fate) in &fates {
                for name in sent(&shipment)[range.clone()].iter().filter(|_| *fate != Fate::Again) {
                    let (seq, row) = name.split_once('/').unwrap();
                    let at = (seq.parse::<u64>().unwrap(), row.parse::<usize>().unwrap());
                    let storage = records[at.0 as usize - 1].0;
                    // What is of several storages may be of any.
                    let same = last.iter().filter(|(of, _)| of.is_none() || storage.is_none() || **of == storage);
                    let before = same.map(|(_, before)| *before).max();
                    prop_assert!(before.is_none_or(|before| before < at || matches!(end, End::GiveUp)), "{before:?} {at:?}");
                    last.insert(storage, at);
                }
            }
            judge.check(&window.settle(&shipment, &fates));
        }
        prop_assert_eq!(judge.settled, total);
        prop_assert!(judge.open.is_empty());
        prop_assert_eq!(window.position(), Position::at(Seq(records.len() as u64 + 1)));
    }
}
