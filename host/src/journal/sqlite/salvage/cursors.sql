-- Places the cursors among the copied records. `state.sql` placed them after the newest record.
-- A cursor before the first copied record moves to that record: what lies between is lost.

INSERT INTO main.ahead
SELECT a.* FROM damaged.ahead a WHERE a.seq >= (SELECT min(seq) FROM main.batches);

UPDATE main.cursors SET
    next_seq = max(d.next_seq, (SELECT min(seq) FROM main.batches)),
    next_row = iif(d.next_seq >= (SELECT min(seq) FROM main.batches), d.next_row, 0),
    next_items = iif(d.next_seq >= (SELECT min(seq) FROM main.batches), d.next_items, 0),
    replay_end = d.replay_end
FROM damaged.cursors d
WHERE d.exporter = cursors.exporter AND d.next_seq <= (SELECT max(seq) FROM main.batches);

-- What is pending in the copied records is not lost. This is how `counts.rs` derives it, without
-- dead letters.
UPDATE temp.lost SET lost = lost - coalesce((
    SELECT t.items - b.items_before - iif(b.seq = c.next_seq, c.next_items, 0)
           - (SELECT coalesce(sum(a.items), 0) FROM main.ahead a WHERE a.exporter = c.exporter)
    FROM main.cursors c, main.totals t, main.batches b
    WHERE c.exporter = lost.exporter AND b.seq >= c.next_seq ORDER BY b.seq LIMIT 1
), 0);

-- Row spans before a cursor are part of its position.
DELETE FROM main.ahead
WHERE (seq, first_row) < (SELECT c.next_seq, c.next_row FROM main.cursors c WHERE c.exporter = ahead.exporter);
