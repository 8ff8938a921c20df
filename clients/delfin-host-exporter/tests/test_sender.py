from __future__ import annotations

import http.server
import json
import logging
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any, Callable, List, Tuple

from delfin_host_exporter.client import Client
from delfin_host_exporter.sender import Sender
from delfin_host_exporter.spool import Spool


class Receiver(http.server.ThreadingHTTPServer):
    """Answers in turn with these statuses, then 202."""

    def __init__(self, statuses: List[int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = statuses
        self.requests: List[Tuple[str, bytes]] = []
        self.tokens: List[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.headers["Idempotency-Key"], body))
        self.server.tokens.append(self.headers.get("Authorization", ""))
        status = self.server.statuses.pop(0) if self.server.statuses else 202
        answer = json.dumps({"error_msg": "because"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class SenderTest(unittest.TestCase):
    def start(self, *statuses: int, token_file: str = "") -> Tuple[Receiver, Spool, Sender]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        receiver = Receiver(list(statuses))
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        spool = Spool(Path(folder.name), "alerts", 1 << 20, True)
        log = logging.getLogger("test")
        log.setLevel(logging.CRITICAL)
        client = Client(f"http://127.0.0.1:{receiver.server_port}", "alerts", 30, token_file)
        return receiver, spool, Sender(spool, client, 0.05, log)

    def wait(self, found: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not found():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_a_batch_is_sent_with_one_key_until_it_is_stored(self) -> None:
        receiver, spool, sender = self.start(503, 500, 403, 202)
        sender.append(b"first", 1)
        sender.append(b"second", 1)
        self.wait(lambda: spool.counts().get("sent") == 2)
        self.assertEqual([body for _, body in receiver.requests], [b"first"] * 4 + [b"second"])
        self.assertEqual(len({key for key, _ in receiver.requests}), 2)

    def test_a_body_that_is_refused_does_not_hold_back_the_next(self) -> None:
        receiver, spool, sender = self.start(400)
        sender.append(b"bad", 3)
        sender.append(b"good", 1)
        self.wait(lambda: spool.counts() == {"rejected": 3, "sent": 1})
        self.assertEqual([body for _, body in receiver.requests], [b"bad", b"good"])

    def test_a_token_is_read_again_for_each_request_and_a_missing_one_loses_nothing(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = Path(folder.name) / "token"
        receiver, spool, sender = self.start(401, token_file=str(file))
        sender.append(b"first", 1)
        file.write_text("one\n")
        self.wait(lambda: spool.counts().get("sent") == 1)
        file.write_text("two\n")
        sender.append(b"second", 1)
        self.wait(lambda: spool.counts().get("sent") == 2)
        self.assertEqual(receiver.tokens, ["Bearer one", "Bearer one", "Bearer two"])


if __name__ == "__main__":
    unittest.main()
