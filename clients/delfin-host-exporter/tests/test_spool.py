from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import List

from delfin_host_exporter.spool import Batch, Spool, SpoolFull

APPEND = """
import sys
from pathlib import Path
from delfin_host_exporter.spool import Spool

spool = Spool(Path(sys.argv[1]), "alerts", 1 << 30, True)
number = 0
while True:
    number += 1
    spool.append(str(number).encode(), 1)
    print(number, flush=True)
"""


class SpoolTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def spool(self, max_bytes: int = 1 << 30, drop_oldest: bool = True) -> Spool:
        return Spool(self.folder, "alerts", max_bytes, drop_oldest)

    def take_all(self, spool: Spool) -> List[str]:
        taken: List[str] = []
        while True:
            batch = spool.oldest()
            if batch is None:
                return taken
            taken.append(batch.body.decode())
            spool.remove(batch, "sent")

    def test_batches_come_out_in_order_with_the_same_key_each_time(self) -> None:
        one, other = self.spool(), self.spool()
        for number, spool in enumerate([one, other, one, other]):
            spool.append(str(number).encode(), 1)
        self.assertEqual(one.oldest(), other.oldest())
        self.assertEqual(self.take_all(other), ["0", "1", "2", "3"])
        self.assertEqual(one.counts(), {"sent": 4})

    def test_a_full_spool_drops_the_oldest_batches_and_counts_their_items(self) -> None:
        spool = self.spool(max_bytes=4000)
        dropped = [spool.append(bytes([65 + number]) * 1000, 10) for number in range(5)]
        self.assertEqual(dropped, [0, 0, 0, 10, 10])
        self.assertEqual([text[0] for text in self.take_all(spool)], ["C", "D", "E"])
        self.assertEqual(spool.counts(), {"dropped": 20, "sent": 30})

    def test_a_full_spool_refuses_the_new_batch_if_told_so(self) -> None:
        spool = self.spool(max_bytes=2000, drop_oldest=False)
        spool.append(b"A" * 1000, 10)
        with self.assertRaises(SpoolFull):
            spool.append(b"B" * 1000, 7)
        self.assertEqual([text[0] for text in self.take_all(spool)], ["A"])
        self.assertEqual(spool.counts()["refused"], 7)

    def test_a_batch_above_the_limit_drops_no_other(self) -> None:
        spool = self.spool(max_bytes=2000)
        spool.append(b"A", 1)
        with self.assertRaises(SpoolFull):
            spool.append(b"B" * 2000, 7)
        self.assertEqual(self.take_all(spool), ["A"])

    def test_a_batch_that_was_dropped_while_it_was_sent_is_counted_once(self) -> None:
        spool = self.spool(max_bytes=2000)
        spool.append(b"A" * 1000, 1)
        batch = spool.oldest()
        assert isinstance(batch, Batch)
        spool.append(b"B" * 1000, 1)
        spool.remove(batch, "sent")
        self.assertEqual(spool.counts(), {"dropped": 1})

    def test_one_process_sends_at_a_time(self) -> None:
        with self.spool().sending() as first, self.spool().sending() as second:
            self.assertEqual((first, second), (True, False))
        with self.spool().sending() as third:
            self.assertTrue(third)

    def test_what_was_appended_is_there_after_a_crash(self) -> None:
        command = [sys.executable, "-B", "-c", APPEND, str(self.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            last = 0
            while last < 50:
                last = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        last = int(rest[-1]) if rest else last
        taken = [int(text) for text in self.take_all(self.spool())]
        self.assertEqual(taken, list(range(1, len(taken) + 1)))
        self.assertIn(len(taken), (last, last + 1))

    def test_a_damaged_file_is_moved_away(self) -> None:
        spool = self.spool()
        spool.path.write_bytes(b"damaged" * 1000)
        for extra in ("-wal", "-shm"):
            Path(f"{spool.path}{extra}").unlink(missing_ok=True)
        spool = self.spool()
        self.assertIn("is damaged", spool.damage or "")
        spool.append(b"A", 1)
        self.assertEqual(self.take_all(spool), ["A"])

    def test_a_file_that_cannot_be_opened_is_an_error(self) -> None:
        (self.folder / "alerts.db").mkdir()
        with self.assertRaises(sqlite3.OperationalError):
            self.spool()


if __name__ == "__main__":
    unittest.main()
