-- Copies everything except records and row spans from a damaged file, attached as `damaged`.
-- Idempotency keys are not copied: a client that sends a lost batch again must have it stored.

-- The pending items of each exporter, from its counters, because the records may be unreadable.
-- Dead letters in replay are copied, so their items are not lost.
CREATE TEMP TABLE lost AS
SELECT c.exporter,
       (SELECT items FROM damaged.totals) - c.start_items + c.replayed_items
       - c.delivered - c.dead_lettered - c.filtered
       - (SELECT coalesce(sum(d.items), 0) FROM damaged.dropped d WHERE d.exporter = c.exporter)
       - (SELECT coalesce(sum(l.items), 0) FROM damaged.dead_letters l
          WHERE l.exporter = c.exporter AND l.replayed_ms IS NOT NULL) AS lost
FROM damaged.cursors c;

INSERT INTO main.sqlite_sequence (name, seq)
SELECT name, seq FROM damaged.sqlite_sequence WHERE name = 'batches';

UPDATE main.totals SET items = d.items, bytes = d.bytes FROM damaged.totals d;

-- Every cursor starts after the newest record. `cursors.sql` moves it back to the copied records.
INSERT INTO main.cursors
SELECT exporter, start, start_seq, start_items, replayed_items, NULL,
       1 + coalesce((SELECT seq FROM damaged.sqlite_sequence WHERE name = 'batches'), 0), 0, 0,
       delivered, dead_lettered, filtered, created_ms, unused_since_ms, last_success_ms, last_error, last_error_ms
FROM damaged.cursors;

INSERT INTO main.dropped SELECT exporter, reason, items FROM damaged.dropped;
INSERT INTO main.dead_letters SELECT * FROM damaged.dead_letters;
