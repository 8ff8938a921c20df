"""Records of `logging` as messages to the host."""

import logging
import unittest
from typing import Any

from delfin_plugin import logs


def message(text: str, **more: Any) -> Any:
    return logs.message(logging.makeLogRecord({"msg": text, "levelno": logging.INFO, "name": "acme", **more}))


class Logs(unittest.TestCase):
    def test_a_record_has_its_text_and_its_fields(self) -> None:
        found = message("slow", delay=2)
        self.assertEqual((found["level"], found["target"], found["message"]), ("info", "acme", "slow"))
        self.assertEqual(found["fields"], [("delay", "2")])

    def test_a_long_text_is_cut_so_that_the_connection_stays(self) -> None:
        long = "x" * (logs.MAX_TEXT + 5)
        cut = "x" * logs.MAX_TEXT + "… (5 more characters)"
        found = message(long, rows=long)
        self.assertEqual((found["message"], found["fields"]), (cut, [("rows", cut)]))


if __name__ == "__main__":
    unittest.main()
