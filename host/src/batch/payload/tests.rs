use delfin_plugin_api::{Batch, PerformanceBatchBuilder};

use super::*;

/// A batch with one series.
fn points(count: i64) -> RecordBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let points = (0..count).map(|time| (time, 0.5));
    batch.series("load", [("unit", "%")], points).unwrap();
    batch.build().as_arrow().clone()
}

/// A pool with so many bytes for payloads.
fn pool(max_bytes: u64) -> Arc<PayloadPool> {
    PayloadPool::new(&MemoryBudget::new(max_bytes.saturating_mul(2)))
}

fn shared_slot(pool: &Arc<PayloadPool>) -> Arc<PayloadSlot> {
    let slot = pool.slot();
    slot.share();
    slot
}

fn encode(slot: &Arc<PayloadSlot>, rows: &RecordBatch) -> Arc<BatchPayload> {
    slot.of_batch(rows).unwrap().unwrap()
}

/// How many sealed files this process has open.
fn open_files() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().contains("delfin-batch"))
        .count()
}

#[test]
fn many_exporters_encode_a_batch_once_and_one_batch_does_not_wait_for_another() {
    let pool = pool(u64::MAX);
    let (slot, rows) = (shared_slot(&pool), points(200_000));
    // Held as if another batch was being encoded all the time.
    let other = shared_slot(&pool);
    let _busy = other.lock();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| encode(&slot, &rows));
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.encoded_batches, stats.encoded_requests), (1, 0));
    assert_eq!(stats.bytes, encode(&slot, &rows).size());
}

#[test]
fn a_payload_is_inline_or_shared_by_its_size_and_has_the_rows() {
    let pool = pool(u64::MAX);
    for (count, form) in [(1, "inline"), (50_000, "file"), (500_000, "sealed")] {
        let rows = points(count);
        let payload = pool.encode_rows(&rows).unwrap();
        let (shared, _) = payload.as_frame(true);
        let found = match shared {
            None => "inline",
            Some(SharedForm { file: None, .. }) => "sealed",
            Some(SharedForm { file: Some(_), .. }) => "file",
        };
        assert_eq!(found, form);
        let decoded = codec::read_plain(payload.plain().unwrap()).unwrap();
        assert_eq!(decoded, rows);
    }
}

#[test]
fn a_process_that_does_not_keep_files_gets_a_sealed_copy() {
    let pool = pool(u64::MAX);
    let payload = pool.encode_rows(&points(50_000)).unwrap();
    assert!(!payload.is_sealed());
    let (none, frame) = payload.as_frame(false);
    assert!(none.is_none() && matches!(frame, FramePayload::Inline(_)));
    payload.seal().unwrap();
    let (shared, frame) = payload.as_frame(false);
    let FramePayload::Shared(descriptor) = frame else {
        panic!("{frame:?}");
    };
    let copy = descriptor.try_clone_to_owned().unwrap();
    let copy = SharedPayload::receive(copy, shared.unwrap().len).unwrap();
    let plain = payload.plain().unwrap();
    assert_eq!(copy.map().unwrap().as_ref(), plain.as_slice());
}

#[test]
fn a_file_has_the_next_batch_once_nothing_refers_to_its_rows() {
    let pool = pool(u64::MAX);
    let (small, rows) = (points(50_000), points(51_000));
    let number = |payload: &BatchPayload| payload.as_frame(true).0.and_then(|form| form.file);
    let first = pool.encode_rows(&small).unwrap();
    let file = number(&first);
    let columns = codec::read_plain(first.plain().unwrap()).unwrap();
    drop(first);
    assert_ne!(number(&pool.encode_rows(&rows).unwrap()), file);
    assert_eq!(columns, small);
    drop(columns);
    // The file that was used last is taken first.
    let next = pool.encode_rows(&rows).unwrap();
    assert_eq!(number(&next), file);
    next.retain();
    drop(next);
    let others = [(); 2].map(|()| pool.encode_rows(&rows).unwrap());
    assert!(others.iter().all(|other| number(other) != file));
}

#[test]
fn a_batch_that_is_not_shared_is_not_kept() {
    let pool = pool(u64::MAX);
    let (slot, rows) = (pool.slot(), points(1));
    assert!(slot.of_batch(&rows).unwrap().is_none());
    slot.of_request(&rows).unwrap();
    slot.share();
    encode(&slot, &rows);
    assert!(pool.stats().bytes > 0);
    slot.unshare();
    assert!(slot.of_batch(&rows).unwrap().is_none());
    let stats = pool.stats();
    assert_eq!(
        (stats.bytes, stats.encoded_batches, stats.encoded_requests),
        (0, 1, 1)
    );
}

#[test]
fn the_oldest_payloads_are_closed_beyond_the_limits() {
    let rows = points(50_000);
    let size = BatchPayload::encode(&rows).unwrap().size();
    let by_bytes = pool(3 * size);
    let slots: Vec<_> = (0..10).map(|_| shared_slot(&by_bytes)).collect();
    for slot in &slots {
        encode(slot, &rows);
    }
    assert_eq!(by_bytes.stats().bytes, 3 * size);
    let kept: Vec<bool> = slots.iter().map(|slot| slot.lock().is_some()).collect();
    assert_eq!(
        kept.iter().position(|&is_kept| is_kept),
        Some(7),
        "{kept:?}"
    );

    let before = open_files();
    let by_number = pool(u64::MAX);
    let slots: Vec<_> = (0..MAX_DESCRIPTORS + 10)
        .map(|_| shared_slot(&by_number))
        .collect();
    for slot in &slots {
        encode(slot, &rows);
    }
    assert_eq!(by_number.stats().bytes, MAX_DESCRIPTORS as u64 * size);
    drop(slots);
    assert_eq!(by_number.stats().bytes, 0);
    // Other tests of this process have few.
    assert!(open_files() < before + MAX_DESCRIPTORS / 2);
    // A payload that is larger than the limit is kept alone.
    let small = pool(0);
    let slot = shared_slot(&small);
    encode(&slot, &rows);
    encode(&slot, &rows);
    assert_eq!(small.stats().encoded_batches, 1);
}

#[test]
fn a_large_batch_is_encoded_once_for_the_journal_and_for_exporters() {
    let pool = pool(u64::MAX);
    let rows = points(50_000);
    let encode_record = |slot: &Arc<PayloadSlot>| {
        let (record, kept) = pool.encode_record(rows.clone(), slot).unwrap();
        assert_eq!(record.decode().unwrap(), rows);
        assert_eq!(kept, rows);
    };
    // Before an exporter has asked, nothing is kept.
    let slot = shared_slot(&pool);
    encode_record(&slot);
    assert_eq!(pool.stats().bytes, 0);
    let (record, _) = pool.encode_record(rows.clone(), &slot).unwrap();
    assert_eq!(record, codec::encode(&rows).unwrap().into());
    encode(&slot, &rows);
    let (next, before) = (shared_slot(&pool), pool.stats().bytes);
    encode_record(&next);
    // The rows are in the memory of the payload.
    assert_eq!(pool.stats().bytes, before);
    assert_eq!(pool.stats().encoded_batches, 2);
    encode(&next, &rows);
    assert_eq!(pool.stats().encoded_batches, 2);
    // Once a payload was not asked for, the next ones are not kept.
    let unused = shared_slot(&pool);
    encode_record(&unused);
    drop((unused, slot, next));
    encode_record(&shared_slot(&pool));
    assert_eq!(pool.stats().bytes, 0);
}

#[test]
fn a_small_batch_is_left_to_the_journal() {
    let pool = pool(u64::MAX);
    let rows = points(1);
    for _ in 0..2 {
        let slot = shared_slot(&pool);
        let (record, kept) = pool.encode_record(rows.clone(), &slot).unwrap();
        assert!(slot.encoded_before().is_none());
        assert_eq!(
            (record, kept),
            (
                RecordPayload::Rows(SmallBatch::new(&rows).unwrap()),
                rows.clone()
            )
        );
        // Also once exporters want payloads.
        encode(&slot, &rows);
    }
}

#[test]
fn a_decoded_batch_is_the_memory_of_its_payload() {
    for count in [1, 50_000] {
        let pool = pool(u64::MAX);
        let rows = points(count);
        let record = codec::encode(&rows).unwrap();
        let decode = || {
            let (decoded, slot) = pool.decode_record(&record).unwrap();
            assert_eq!(decoded, rows);
            slot.share();
            slot
        };
        let kept = pool.stats();
        let slot = decode();
        slot.unshare();
        let payload = slot.encoded_before().unwrap();
        assert_eq!(
            codec::encode_plain(&payload.plain().unwrap()).unwrap(),
            record
        );
        assert_eq!(pool.stats(), kept, "no second memory and no encoding");
    }
}

#[test]
fn a_backlog_has_few_files_and_none_after_a_payload_that_no_exporter_asked_for() {
    let pool = pool(u64::MAX);
    let rows = points(50_000);
    encode(&shared_slot(&pool), &rows);
    let backlog: Vec<_> = (0..MAX_AHEAD + 2).map(|_| shared_slot(&pool)).collect();
    for slot in &backlog {
        let (_, kept) = pool.encode_record(rows.clone(), slot).unwrap();
        assert_eq!(kept, rows);
    }
    let has_payload = |slot: &PayloadSlot| slot.lock().is_some();
    let ahead = backlog.iter().filter(|slot| has_payload(slot)).count();
    assert_eq!(ahead, MAX_AHEAD);
    // A place is free now, but exporters do not ask for payloads any more.
    backlog[0].release();
    let next = shared_slot(&pool);
    pool.encode_record(rows, &next).unwrap();
    assert!(!has_payload(&next));
}
