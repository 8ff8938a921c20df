"""A program against the minimal host: conformance, failures, logs and frames."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest.mock import Mock

from delfin_plugin import frames, logs, manifest, sample
from delfin_plugin.exporter_calls import ExporterCalls
from delfin_plugin.frames import Connection, FrameError, Message
from delfin_plugin.test import conformance, suite
from delfin_plugin.test.host import Failed, Outcome, Process

FOLDER = Path(__file__).parent / "count.plugin"
NAME = "PerformanceExporterCount"

# The plugin finds the kit as this test does.
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")


def plugin(transport: str = "socket") -> manifest.Manifest:
    command = [sys.executable, "-B", "exporter.py"]
    exporters = [manifest.ManifestExporter(NAME, "performance")]
    settings = {NAME: {"counter": "points"}}
    return manifest.Manifest(FOLDER, command, transport, exporters, settings)


class RecordingProcess(Process):
    """Keeps the messages that are no outcomes."""

    def __init__(self, transport: str = "socket") -> None:
        super().__init__(plugin(transport))
        self.messages: List[Message] = []

    def __enter__(self) -> "RecordingProcess":
        super().__enter__()
        return self

    def _read(self, what: str) -> frames.Frame:
        frame = super()._read(what)
        self.messages.append(frame.message)
        return frame


def export(fail: str, transport: str = "socket") -> "tuple[Outcome, List[Message]]":
    with RecordingProcess(transport) as process:
        created = process.create(NAME, {"counter": "points", "fail": fail})
        suite.expect_delivered("create", created)
        return process.export(sample.performance(10, 5)), process.messages


class Programs(unittest.TestCase):
    def test_both_transports_conform(self) -> None:
        for transport in ("socket", "stdio"):
            failures: List[str] = []
            report = lambda exporter, check, why: failures.append(why) if why else None
            settings = plugin().settings
            passed = suite.run(plugin(transport), settings.__getitem__, report)
            self.assertEqual((passed, failures), (True, []))

    def test_items_are_counted_through_both_transports(self) -> None:
        for transport in ("socket", "stdio"):
            outcome, messages = export("never", transport)
            self.assertEqual(str(outcome), "`delivered`")
            self.assertIn({"type": "count", "name": "points", "by": 50}, messages)

    def test_an_exception_restarts_the_instance_and_is_logged(self) -> None:
        outcome, messages = export("exception")
        self.assertEqual((outcome.kind, outcome.detail), ("restart", 1))
        self.assertEqual(outcome.message, "exception in `export`: KeyError: 'secret'")
        (record,) = (message for message in messages if message["type"] == "log")
        fields = dict(record["fields"])
        self.assertEqual(record["level"], "error")
        self.assertEqual(fields["error"], "KeyError: 'secret'")
        self.assertIn("exporter.py", fields["traceback"])

    def test_a_failure_has_its_details(self) -> None:
        _, messages = export("throttled")
        outcome = messages[-1]
        self.assertEqual((outcome["class"], outcome["detail"]), ("retry", 1))
        self.assertEqual((outcome["after_ms"], outcome["extra"]), (1500, {"status": "429"}))

    def test_rows_that_are_not_delivered_have_their_class(self) -> None:
        _, messages = export("partial")
        rows = [(row["first"], row["len"], row["class"]) for row in messages[-1]["rows"]]
        self.assertEqual(rows, [(0, 1, "reject"), (1, 2, "retry"), (3, 1, "uncertain")])

    def test_a_return_value_that_is_no_outcome_is_a_fault_of_the_exporter(self) -> None:
        outcome, _ = export("value")
        self.assertEqual(outcome.message, "`export` returned True, not None or a Failure")

    def test_a_process_that_exits_is_named_with_its_output(self) -> None:
        with self.assertRaises(Failed) as caught:
            export("exit")
        self.assertRegex(str(caught.exception), r"(?s)in `export` \(exit code 3\); output: .*bye")

    def test_a_program_that_is_started_by_a_person_says_so(self) -> None:
        ended = subprocess.run(
            [sys.executable, FOLDER / "exporter.py"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        self.assertIn("this program is for delfin-host", ended.stderr)
        self.assertEqual(ended.returncode, 1)

    def test_the_suite_finds_a_plugin_that_breaks_a_promise(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            broken = Path(folder) / "broken.plugin"
            shutil.copytree(FOLDER, broken)
            text = (broken / "exporter.py").read_text()
            text = text.replace("host.count(", "assert batch.rows\n    host.count(")
            (broken / "exporter.py").write_text(text)
            failures: Dict[str, str] = {}
            report = lambda exporter, check, why: failures.update({check: why} if why else {})
            passed = suite.run(
                plugin()._replace(folder=broken), plugin().settings.__getitem__, report
            )
        self.assertFalse(passed)
        self.assertEqual(list(failures), ["delivers_empty_small_and_large_batches"])
        self.assertIn("a batch of 0 rows: `restart`", next(iter(failures.values())))

    @unittest.skipIf(sys.version_info < (3, 11), "needs tomllib")
    def test_the_folder_is_read_as_the_command_line_does(self) -> None:
        read = manifest.read(FOLDER)
        self.assertEqual(read.settings["AlertExporterCount"], {"counter": "alerts"})
        with self.assertRaisesRegex(AssertionError, "delivers_awkward_texts.*overloaded"):
            conformance(FOLDER, {"fail": "throttled"})


class Levels(unittest.TestCase):
    def test_a_call_may_bring_another_level(self) -> None:
        root = logging.getLogger()
        self.addCleanup(root.setLevel, root.level)
        calls = ExporterCalls([], lambda name, by: None)
        calls._exporter = Mock(tick=Mock(return_value=None))
        for level, wanted in (("debug", logging.DEBUG), (None, logging.DEBUG), ("warn", logging.WARNING)):
            message = {"type": "tick", "deadline_ms": 10, **({"level": level} if level else {})}
            received = Mock(message=message)
            received.name = "tick"
            calls.call(received)
            self.assertEqual(root.level, wanted)


class Frames(unittest.TestCase):
    def test_only_a_sealed_memfd_of_the_named_size_is_mapped(self) -> None:
        self.assertEqual(bytes(frames.map_shared(frames.share(b"rows"), 4)), b"rows")
        with self.assertRaisesRegex(FrameError, "has 4 bytes, its message says 5"):
            frames.map_shared(frames.share(b"rows"), 5)
        open_file = os.memfd_create("open", os.MFD_ALLOW_SEALING)
        os.write(open_file, b"rows")
        with self.assertRaisesRegex(FrameError, "not a sealed memfd"):
            frames.map_shared(open_file, 4)
        with self.assertRaises(OSError):
            os.fstat(open_file)

    def test_bytes_that_are_no_frame_end_the_connection(self) -> None:
        hostile = {
            b"\0\0\0\0\0\0\0\0": "header of 0 bytes",
            b"\xff\xff\xff\xff\0\0\0\0": "header of 4294967295 bytes",
            b"\2\0\0\0\0\0\0\0[]": "has no type",
            b"\1\0\0\0\0\0\0\0{": "not valid",
            b"\1\0\0": "cut off",
            b"\x10\0\0\0\xff\xff\xff\xff{\"type\":\"tick\"} rest": "cut off",
        }
        for sent, text in hostile.items():
            input, output = os.pipe()
            os.write(output, sent)
            os.close(output)
            with self.assertRaisesRegex(FrameError, text):
                Connection(input, input, is_socket=False).read()
            os.close(input)


class Logs(unittest.TestCase):
    def test_additional_keys_are_fields_and_levels_are_words_of_the_host(self) -> None:
        import logging

        def message(level: int, **extra: Any) -> Dict[str, Any]:
            record = logging.LogRecord("acme", level, "f", 1, "slow %s", ("a",), None)
            vars(record).update(extra)
            return logs.message(record)

        self.assertEqual(
            message(logging.WARNING, delay="2s"),
            {
                "type": "log",
                "level": "warn",
                "target": "acme",
                "message": "slow a",
                "fields": [("delay", "2s")],
            },
        )
        levels = [message(level)["level"] for level in (50, 40, 20, 10, 5)]
        self.assertEqual(levels, ["error", "error", "info", "debug", "trace"])


if __name__ == "__main__":
    unittest.main()
