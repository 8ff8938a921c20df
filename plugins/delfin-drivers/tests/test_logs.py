from __future__ import annotations

import logging
import unittest
from typing import List

from adapter import logs


class Logs(unittest.TestCase):
    def setUp(self) -> None:
        self.records: List[logging.LogRecord] = []
        root = logging.getLogger()
        self.addCleanup(setattr, root, "handlers", root.handlers)
        self.addCleanup(root.setLevel, root.level)
        handler = logging.Handler()
        handler.emit = self.records.append  # type: ignore[method-assign,assignment]
        root.handlers = [handler]
        root.setLevel(logging.INFO)
        logs.reduce()

    def test_records_have_no_fields_of_oslo(self) -> None:
        logging.getLogger("delfin").info("a line", extra={"global_request_id": "req-1", "project": "p", "slot": 3})
        (record,) = self.records
        self.assertEqual((record.__dict__.get("project"), record.__dict__["slot"]), (None, 3))

    def test_a_connection_is_a_record_only_when_details_are_wanted(self) -> None:
        log = logging.getLogger("paramiko.transport")
        log.info("Connected (version 2.0)")
        log.warning("bad key")
        logging.getLogger().setLevel(logging.DEBUG)
        log.info("Authentication successful")
        self.assertEqual([record.getMessage() for record in self.records], ["bad key", "Authentication successful"])


if __name__ == "__main__":
    unittest.main()
