//! With any outcomes, each item gets one disposition, each storage keeps
//! its order, and the journal can accept every commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow_array::{RecordBatch, cast::AsArray};
use delfin_plugin_api::{Batch, Origin, PerformanceBatch, PerformanceBatchBuilder};
use proptest::prelude::*;
use uuid::Uuid;

use super::super::dead_letters;
use super::*;
use crate::{
    batch::{
        Header, PayloadPool,
        codec::{self, RecordPayload, RowGroup, SmallBatch},
    },
    journal::RowSpan,
    memory::{MemoryBudget, MemoryPart},
};

const ROOM: RequestSize = RequestSize {
    items: u64::MAX,
    bytes: u64::MAX,
};

/// A record: its storage, and how many points each of its series has. A series
/// is named by record and row.
fn record(seq: u64, storage: Option<u8>, points: &[usize]) -> ReadBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for (row, &points) in points.iter().enumerate() {
        let points = (0..points).map(|point| (point as i64, 0.5));
        let labels: [(&str, &str); 0] = [];
        batch
            .series(&format!("{seq}/{row}"), labels, points)
            .unwrap();
    }
    let batch = batch.build();
    let header = header(storage, batch.items());
    let payload = PayloadPool::new(&MemoryBudget::new(u64::MAX)).slot();
    let batch = StoredBatch::new(Seq(seq), header, batch.as_arrow().clone(), payload);
    ReadBatch::new(Arc::new(batch))
}

fn header(storage: Option<u8>, items: u64) -> Header {
    Header {
        batch_id: Uuid::now_v7(),
        origin: Origin::Ingest,
        storage_id: storage.map(|storage| storage.to_string()),
        complete: true,
        accepted_ms: now_ms(),
        items,
    }
}

/// Records of storage 1, from 1 on, that are stored and read together. Each series has its name as a label.
fn records_together(series: &[usize], memory: &Arc<MemoryBudget>) -> Vec<ReadBatch> {
    let batches: Vec<_> = (1..)
        .zip(series)
        .map(|(seq, &series)| {
            let mut batch = PerformanceBatchBuilder::new();
            for row in 0..series {
                let name = format!("{seq}/{row}");
                let labels = [("storage_id", "1"), ("series", &*name)];
                batch.series(&name, labels, [(1, 0.5)]).unwrap();
            }
            batch.build()
        })
        .collect();
    let mut group = RowGroup::default();
    for batch in &batches {
        group.push(&SmallBatch::new(batch.as_arrow()).unwrap());
    }
    let mut stored = codec::split(&group.encode().unwrap()).unwrap().unwrap();
    let (pool, mut before) = (PayloadPool::new(memory), None);
    let records = batches.iter().enumerate().map(|(index, batch)| {
        let Some(RecordPayload::Rows(rows)) = stored.take(index) else {
            panic!("batch {index} has no rows");
        };
        let (seq, header) = (Seq(index as u64 + 1), header(Some(1), batch.items()));
        let batch = StoredBatch::of_small(seq, header, rows, pool.slot(), before.as_ref());
        before.clone_from(&batch.shared);
        ReadBatch::new(Arc::new(batch))
    });
    records.collect()
}

fn window(next: u64) -> Window {
    Window::new(
        cursor(Position::at(Seq(next)), Vec::new()),
        HostClock::new(),
        MemoryBudget::new(u64::MAX),
    )
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

fn next_selection(window: &mut Window, size: RequestSize) -> Option<RowSelection> {
    match window.next_rows(limits(size), DeliveryOrder::PerKey, Duration::ZERO) {
        NextRows::Send(selection) => Some(selection),
        NextRows::WaitUntil(_) | NextRows::Empty => None,
    }
}

/// The same for one batch and for several.
fn limits(size: RequestSize) -> RequestLimits {
    RequestLimits {
        batch: size,
        merged: size,
    }
}

fn sent(selection: &RowSelection) -> Vec<String> {
    let batch = PerformanceBatch::try_from_arrow(selection.request().unwrap().arrow).unwrap();
    batch
        .series()
        .map(|series| series.name().to_owned())
        .collect()
}

fn all(selection: &RowSelection, result: RowResult) -> [(Range<usize>, RowResult); 1] {
    [(0..selection.rows(), result)]
}

fn rejected() -> RowResult {
    RowResult::Rejected {
        code: 1,
        reason: "why".to_owned(),
    }
}

/// The texts of the labels in memory, of rows that are sent and of others.
fn texts(rows: &RecordBatch) -> BTreeSet<String> {
    let labels = rows.column_by_name("labels").unwrap().as_map();
    let values = labels.values().as_any_dictionary().values();
    let texts = values.as_string::<i32>().iter().flatten();
    texts.map(str::to_owned).collect()
}

#[test]
fn batches_that_were_read_together_are_sent_and_kept_with_their_own_rows_and_texts() {
    let wanted = |names: &[String]| {
        let texts = names.iter().cloned().chain(["1".to_owned()]);
        texts.collect::<BTreeSet<_>>()
    };
    for items in 1..9 {
        let mut window = window(1);
        let records = records_together(&[3, 1, 2, 2], &MemoryBudget::new(u64::MAX));
        for (record, sent) in records.into_iter().zip([None, None, Some(vec![1]), None]) {
            window.push(record, sent);
        }
        let mut all_sent = Vec::new();
        while let Some(selection) = next_selection(&mut window, RequestSize { items, ..ROOM }) {
            let names = sent(&selection);
            assert_eq!(texts(&selection.request().unwrap().arrow), wanted(&names));
            let results = all(&selection, rejected());
            for dead in window.commit(&selection, &results).dead {
                let stored = dead_letters::from_rows(&dead, "1").unwrap();
                let rows = codec::decode(&stored.payload).unwrap();
                let first = PerformanceBatch::try_from_arrow(rows.clone()).unwrap();
                let names: Vec<_> = first.series().map(|row| row.name().to_owned()).collect();
                assert_eq!(texts(&rows), wanted(&names));
            }
            all_sent.extend(names);
        }
        assert_eq!(
            all_sent,
            ["1/0", "1/1", "1/2", "2/0", "3/1", "4/0", "4/1"],
            "{items} items"
        );
    }
}

#[test]
fn rows_that_were_read_together_count_once_and_as_long_as_one_batch_has_some() {
    let memory = MemoryBudget::new(u64::MAX);
    let mut records = records_together(&[1, 50, 1], &memory);
    let used = || memory.used(MemoryPart::Exporters);
    let three = used();
    assert!(three < 24 << 10, "{three}");
    records.truncate(1);
    let one = used();
    assert!(one > three / 2, "{one} of {three}");
    drop(records);
    assert_eq!(used(), 0);
}

#[test]
fn small_batches_share_a_request_and_large_ones_are_cut() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[1, 1]), None);
    window.push(record(2, Some(2), &[1]), None);
    window.push(record(3, Some(1), &[2, 2, 2]), None);
    let four = RequestSize { items: 4, ..ROOM };
    let mut calls = Vec::new();
    while let Some(selection) = next_selection(&mut window, four) {
        calls.push(sent(&selection));
        window.commit(&selection, &all(&selection, RowResult::Delivered));
    }
    assert_eq!(
        calls,
        [vec!["1/0", "1/1", "2/0"], vec!["3/0", "3/1"], vec!["3/2"]]
    );
    assert_eq!(window.position(), Position::at(Seq(4)));
}

#[test]
fn small_batches_are_merged_up_to_their_own_limit_and_a_large_one_is_not_cut_there() {
    let mut window = window(1);
    for (seq, points) in [(1, 1), (2, 1), (3, 1), (4, 5), (5, 1)] {
        window.push(record(seq, Some(1), &vec![1; points]), None);
    }
    let limits = RequestLimits {
        batch: ROOM,
        merged: RequestSize { items: 2, ..ROOM },
    };
    let mut items = Vec::new();
    while let NextRows::Send(selection) =
        window.next_rows(limits, DeliveryOrder::PerKey, Duration::ZERO)
    {
        items.push(selection.items());
        window.commit(&selection, &all(&selection, RowResult::Delivered));
    }
    assert_eq!(items, [2, 1, 5, 1]);
}

#[test]
fn the_next_request_is_known_during_a_call_once_it_is_full() {
    let mut window = window(1);
    let two = RequestSize { items: 2, ..ROOM };
    let after = |window: &Window, group| {
        let next = window.rows_after(group, limits(two), DeliveryOrder::PerKey);
        next.map(|selection| sent(&selection))
    };
    window.push(record(1, Some(1), &[1, 1]), None);
    let first = next_selection(&mut window, two).unwrap();
    window.push(record(2, Some(1), &[1]), None);
    assert_eq!(after(&window, first.group), None, "it may get another row");
    window.push(record(3, Some(1), &[1]), None);
    let next = vec!["2/0".to_owned(), "3/0".to_owned()];
    assert_eq!(after(&window, first.group), Some(next.clone()));
    // Another outcome has other rows sent next.
    let retried = next_selection(&mut window, two).unwrap();
    assert_eq!((sent(&retried), retried.attempt), (sent(&first), 2));
    window.commit(&retried, &all(&retried, RowResult::Delivered));
    assert_eq!(sent(&next_selection(&mut window, two).unwrap()), next);
}

#[test]
fn postponed_rows_hold_back_their_own_storage_only() {
    let mut window = window(1);
    let late = Instant::now() + Duration::from_hours(1);
    for (seq, storage) in [(1, 1), (2, 2), (3, 1)] {
        window.push(record(seq, Some(storage), &[1]), None);
    }
    let one = RequestSize { items: 1, ..ROOM };
    let first = next_selection(&mut window, one).unwrap();
    window.postpone(first.group, late);
    let second = next_selection(&mut window, one).unwrap();
    assert_eq!(sent(&second), ["2/0"]);
    let committed = window
        .commit(&second, &all(&second, RowResult::Delivered))
        .commit;
    assert_eq!(
        (committed.through, committed.delivered),
        (Position::at(Seq(1)), 1)
    );
    let ahead = RowSpan {
        seq: Seq(2),
        first_row: 0,
        rows: 1,
        items: 1,
    };
    assert_eq!(committed.ahead, [ahead]);
    assert!(
        next_selection(&mut window, one).is_none(),
        "`3/0` comes after `1/0`"
    );
    assert!(window.has_postponed(Instant::now()));
    window.retry_now();
    let retried = next_selection(&mut window, ROOM).unwrap();
    assert_eq!(
        (sent(&retried), retried.attempt),
        (vec!["1/0".to_owned()], 2)
    );
}

#[test]
fn a_restart_continues_at_the_cursor() {
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
    let mut window = Window::new(
        cursor(next, vec![ahead]),
        HostClock::new(),
        MemoryBudget::new(u64::MAX),
    );
    assert_eq!(window.position(), next);
    window.push(record(1, Some(1), &[2, 2, 2, 2]), None);
    assert_eq!(window.position(), next);
    let selection = next_selection(&mut window, ROOM).unwrap();
    assert_eq!(sent(&selection), ["1/1", "1/3"]);
    let committed = window
        .commit(&selection, &all(&selection, RowResult::Delivered))
        .commit;
    assert_eq!(
        (committed.through, committed.delivered, committed.ahead),
        (Position::at(Seq(2)), 4, vec![])
    );
}

#[test]
fn filtered_rows_are_committed_with_the_rows_around_them() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[1, 2, 3, 4]), Some(vec![1, 3]));
    let selection = next_selection(&mut window, ROOM).unwrap();
    assert_eq!(
        (sent(&selection), selection.items()),
        (vec!["1/1".to_owned(), "1/3".to_owned()], 6)
    );
    let results = [(0..1, RowResult::Delivered), (1..2, rejected())];
    let committed = window.commit(&selection, &results);
    assert_eq!(
        (committed.commit.delivered, committed.commit.filtered),
        (2, 4)
    );
    assert_eq!(committed.dead[0].items, 4);
    window.push(record(2, Some(1), &[1, 2]), Some(vec![]));
    let committed = window.commit_filtered().commit;
    assert_eq!(
        (committed.filtered, committed.through),
        (3, Position::at(Seq(3)))
    );
}

#[test]
fn a_batch_without_rows_is_sent_alone_and_committed() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[]), None);
    window.push(record(2, Some(1), &[1]), None);
    let selection = next_selection(&mut window, ROOM).unwrap();
    assert_eq!(selection.rows(), 0);
    assert!(selection.request().unwrap().parts[0].header.complete);
    let committed = window
        .commit(&selection, &all(&selection, RowResult::Delivered))
        .commit;
    assert_eq!(
        (committed.through, committed.items()),
        (Position::at(Seq(2)), 0)
    );
}

#[test]
fn rows_that_were_dropped_meanwhile_are_not_committed_again() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[1]), None);
    window.push(record(2, Some(1), &[1]), None);
    let selection = next_selection(&mut window, ROOM).unwrap();
    window.discard_before(Seq(2));
    let committed = window
        .commit(&selection, &all(&selection, RowResult::Delivered))
        .commit;
    assert_eq!(
        (committed.delivered, committed.through),
        (1, Position::at(Seq(3)))
    );
}

#[test]
fn an_outcome_commits_no_row_of_another_batch_with_the_same_sequence_number() {
    let mut window = window(1);
    window.push(record(1, Some(1), &[3]), None);
    let lost = next_selection(&mut window, ROOM).unwrap();
    window.reset(cursor(Position::at(Seq(1)), Vec::new()));
    window.push(record(1, Some(1), &[5]), None);
    let committed = window.commit(&lost, &all(&lost, RowResult::Delivered));
    assert_eq!(
        (committed.commit.delivered, committed.commit.through),
        (0, Position::at(Seq(1)))
    );
}

/// How a call ends.
#[derive(Clone, Debug)]
enum End {
    Delivered,
    Rejected,
    Retry,
    Split,
    /// Rows up to the first percentage are delivered, up to the second rejected.
    Mixed(u8, u8),
    /// Everything before a record becomes a dead letter.
    RejectBefore,
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Delivered),
        1 => Just(End::Rejected),
        2 => Just(End::Retry),
        2 => Just(End::Split),
        3 => (0..100_u8, 0..100_u8).prop_map(|(a, b)| End::Mixed(a.min(b), a.max(b))),
        1 => Just(End::RejectBefore),
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

/// A journal that checks every commit, row by row.
#[derive(Default)]
struct Judge {
    /// The points of each row that is not committed.
    open: BTreeMap<(u64, u64), u64>,
    through: (u64, u64),
    ahead: BTreeSet<(u64, u64)>,
    committed: u64,
}

impl Judge {
    fn check(&mut self, committed: &RowCommit) {
        let commit = &committed.commit;
        let through = (commit.through.seq.0, commit.through.row);
        assert!(
            through >= self.through,
            "{through:?} after {:?}",
            self.through
        );
        self.through = through;
        let mut items = 0;
        for span in &commit.ahead {
            for row in span.first_row..span.end_row() {
                assert!((span.seq.0, row) >= through);
                assert!(self.ahead.insert((span.seq.0, row)), "committed twice");
                items += self.open.remove(&(span.seq.0, row)).expect("open");
            }
        }
        let passed: Vec<_> = self.open.range(..through).map(|(&at, _)| at).collect();
        for at in passed {
            items += self.open.remove(&at).unwrap();
        }
        assert!(
            !self.ahead.contains(&through),
            "the cursor points at committed rows"
        );
        let dead_items: u64 = committed.dead.iter().map(|rows| rows.items).sum();
        assert_eq!(commit.items() + dead_items, items);
        self.committed += items;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: delfin_tests::soak(512), ..ProptestConfig::default() })]

    #[test]
    fn every_item_is_committed_once_and_each_storage_in_its_order(
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
            let sent_rows: Vec<u32> = (0..points.len() as u32).filter(|row| mask >> row & 1 == 0).collect();
            let sent_rows = (sent_rows.len() < points.len()).then_some(sent_rows);
            let is_filtered = sent_rows.as_ref().is_some_and(Vec::is_empty);
            window.push(record(seq, *storage, points), sent_rows);
            if is_filtered {
                judge.check(&window.commit_filtered());
            }
        }
        let mut ends = ends.into_iter();
        let limits = limits(RequestSize { items: room, ..ROOM });
        let mut expected: Option<RowSelection> = None;
        loop {
            let end = ends.next().unwrap_or(End::Delivered);
            let selection = match window.next_rows(limits, DeliveryOrder::PerKey, Duration::ZERO) {
                NextRows::Send(selection) => selection,
                NextRows::WaitUntil(_) => { window.retry_now(); continue; }
                NextRows::Empty => break,
            };
            if let Some(expected) = expected.take() {
                prop_assert!(expected.has_rows_of(&selection), "{expected:?} {selection:?}");
            }
            if matches!(end, End::Delivered | End::Rejected) {
                expected = window.rows_after(selection.group, limits, DeliveryOrder::PerKey);
            }
            let rows = selection.rows();
            let results = match end {
                End::Delivered => vec![(0..rows, RowResult::Delivered)],
                End::Rejected => vec![(0..rows, rejected())],
                End::Retry => {
                    window.postpone(selection.group, Instant::now() + Duration::from_hours(1));
                    continue;
                }
                End::Split => {
                    if window.split(&selection) { continue; }
                    vec![(0..rows, rejected())]
                }
                End::Mixed(a, b) => {
                    let (a, b) = (rows * usize::from(a) / 100, rows * usize::from(b) / 100);
                    window.postpone(selection.group, Instant::now() + Duration::from_hours(1));
                    let all = [(0..a, RowResult::Delivered), (a..b, rejected()), (b..rows, RowResult::Retry)];
                    all.into_iter().filter(|(rows, _)| !rows.is_empty()).collect()
                }
                End::RejectBefore => {
                    judge.check(&window.reject_before(Seq(window.first().0 + 1), 1, "limit"));
                    vec![(0..rows, RowResult::Delivered)]
                }
            };
            // Rows of a storage are committed after its earlier rows.
            for (range, result) in &results {
                for name in sent(&selection)[range.clone()].iter().filter(|_| *result != RowResult::Retry) {
                    let (seq, row) = name.split_once('/').unwrap();
                    let at = (seq.parse::<u64>().unwrap(), row.parse::<usize>().unwrap());
                    let storage = records[at.0 as usize - 1].0;
                    // A batch without a storage may hold rows of any.
                    let same = last.iter().filter(|(of, _)| of.is_none() || storage.is_none() || **of == storage);
                    let before = same.map(|(_, before)| *before).max();
                    prop_assert!(before.is_none_or(|before| before < at || matches!(end, End::RejectBefore)), "{before:?} {at:?}");
                    last.insert(storage, at);
                }
            }
            judge.check(&window.commit(&selection, &results));
        }
        prop_assert_eq!(judge.committed, total);
        prop_assert!(judge.open.is_empty());
        prop_assert_eq!(window.position(), Position::at(Seq(records.len() as u64 + 1)));
    }
}
