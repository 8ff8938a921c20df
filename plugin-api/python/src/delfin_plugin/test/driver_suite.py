"""The conformance suite of drivers: each check is a function, and its name is the promise."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..arrow import ArrowError
from ..batch import AlertBatch, PerformanceBatch
from ..manifest import Manifest, ManifestDriver
from .host import Failed, Outcome, Process
from .suite import Report, expect_delivered, run_checks

#: Returns the options of a storage for a driver.
Options = Callable[[ManifestDriver], Dict[str, Any]]

#: The labels that a driver gives to each series.
_LABELS = ("resource_type", "resource_id", "unit")

#: The columns that identify an alert if the driver names none.
_IDENTITY = ("alert_name", "location", "sequence_number")


class DriverSubject:
    """The driver that is tested."""

    def __init__(self, manifest: Manifest, driver: ManifestDriver, options: Options) -> None:
        self.manifest = manifest
        self.driver = driver
        self.options = options

    def process(self) -> Process:
        return Process(self.manifest)

    def open(self, process: Process) -> None:
        outcome = process.open_driver(self.driver.vendor, self.driver.model, self.options(self.driver))
        expect_delivered("open", outcome)

    def identify(self, process: Process) -> Dict[str, Any]:
        return _object("identify", process.call("identify"))


def identifies_its_storage(subject: DriverSubject) -> None:
    with subject.process() as process:
        subject.open(process)
        first = subject.identify(process)
        for key in ("name", "serial_number"):
            if not str(first.get(key) or "").strip():
                raise Failed(f"the result of `identify` has no `{key}`: {first}")
        second = subject.identify(process)
        if second["serial_number"] != first["serial_number"]:
            raise Failed("the serial number changes")


def measures_what_it_declares(subject: DriverSubject) -> None:
    with subject.process() as process:
        subject.open(process)
        subject.identify(process)
        declared = _object("capabilities", process.call("capabilities"))
        metrics = declared.get("metrics", {})
        start_ms, end_ms = _window()
        outcome = process.call("collect", start_ms=start_ms, end_ms=end_ms)
        if outcome.kind == "unsupported" and not metrics:
            return
        is_historic = bool(declared.get("is_historic"))
        known: Set[Tuple[str, Tuple[Tuple[str, str], ...]]] = set()
        for series in _performance(process, outcome):
            name, labels = series.name, series.labels
            missing = [label for label in _LABELS if not labels.get(label)]
            if missing:
                raise Failed(f"a series `{name}` has no label `{missing[0]}`")
            resource = labels["resource_type"]
            if name not in [metric["name"] for metric in metrics.get(resource, [])]:
                raise Failed(
                    f"`{name}` of `{resource}` is measured, and `capabilities` does not have it"
                )
            identity = (name, tuple(sorted(labels.items())))
            if identity in known:
                raise Failed(f"two series are the same: `{name}` {labels}")
            known.add(identity)
            for time_ms, value in series.points():
                if not math.isfinite(value):
                    raise Failed(f"`{name}` has the value {value}")
                if is_historic and not start_ms <= time_ms < end_ms:
                    raise Failed(
                        f"`{name}` has a point at {time_ms}, outside the window from {start_ms} "
                        f"to {end_ms}"
                    )


def lists_alerts(subject: DriverSubject) -> None:
    with subject.process() as process:
        subject.open(process)
        subject.identify(process)
        declared = _object("capabilities", process.call("capabilities"))
        columns = declared.get("alert_identity") or _IDENTITY
        outcome = process.call("list_alerts")
        if outcome.kind == "unsupported":
            return
        known: Set[Tuple[Optional[str], ...]] = set()
        for alert in _alerts(process, "list_alerts", outcome):
            identity = tuple(alert.get(column) for column in columns)
            if not any(identity):
                raise Failed(f"an alert has no text that identifies it: {alert.texts}")
            if identity in known:
                raise Failed(f"two alerts are the same: {alert.texts}")
            known.add(identity)
            if alert.occur_time < 0:
                raise Failed(f"an alert began before 1970: {alert.texts}")
        start_ms, end_ms = _window()
        outcome = process.call("list_alerts", start_ms=start_ms, end_ms=end_ms)
        for alert in _alerts(process, "list_alerts", outcome):
            if not start_ms <= alert.occur_time < end_ms:
                raise Failed(
                    f"an alert of {alert.occur_time} is outside the window from {start_ms} to {end_ms}"
                )


def survives_wrong_options(subject: DriverSubject) -> None:
    wrong: List[Dict[str, Any]] = [{}, {"rest": [], "ssh": 7, "extra_attributes": "text"}]
    for options in wrong:
        with subject.process() as process:
            driver = subject.driver
            outcome = process.open_driver(driver.vendor, driver.model, options)
            _expect_no_restart(f"open with the options {options}", outcome)


def survives_what_it_does_not_know(subject: DriverSubject) -> None:
    calls: List[Tuple[str, Dict[str, Any]]] = [
        ("clear_alert", {"sequence_number": "no such alert"}),
        ("parse_trap", {"variables": {"1.3.6.1.4.1.0.0": "no such trap"}}),
        ("list_resources", {"kind": "volumes"}),
        ("list_resources", {"kind": "no_such_kind"}),
    ]
    with subject.process() as process:
        subject.open(process)
        subject.identify(process)
        for name, fields in calls:
            outcome = process.call(name, **fields)
            _expect_no_restart(name, outcome)
            if outcome.kind == "result" and name == "parse_trap":
                _alerts(process, name, outcome)
            if outcome.kind == "result" and name == "list_resources":
                rows = outcome.value
                if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                    raise Failed(f"the result of `{name}` is not a list of objects: {rows}")
        subject.identify(process)


def returns_after_a_missed_deadline(subject: DriverSubject) -> None:
    with subject.process() as process:
        subject.open(process)
        subject.identify(process)
        process.cancel()
        outcome = process.call("collect", 0, start_ms=0, end_ms=1)
        _expect_no_restart("a call past its deadline", outcome)


def names_an_unknown_message(subject: DriverSubject) -> None:
    with subject.process() as process:
        subject.open(process)
        outcome = process.call("no_such_message")
        if outcome.kind != "unsupported":
            raise Failed(f"an unknown message is not answered with `unsupported`: {outcome}")
        subject.identify(process)


def closes(subject: DriverSubject) -> None:
    with subject.process() as process:
        subject.open(process)
        expect_delivered("close", process.call("close"))


def exits_when_the_host_closes_the_connection(subject: DriverSubject) -> None:
    with subject.process() as process:
        subject.open(process)
        code = process.exit_code()
        if code != 0:
            raise Failed(f"exits with code {code} after the host has closed the connection")


CHECKS: List[Callable[[DriverSubject], None]] = [
    identifies_its_storage,
    measures_what_it_declares,
    lists_alerts,
    survives_wrong_options,
    survives_what_it_does_not_know,
    returns_after_a_missed_deadline,
    names_an_unknown_message,
    closes,
    exits_when_the_host_closes_the_connection,
]


def run(manifest: Manifest, options: Options, report: Report) -> bool:
    """Runs every check of every driver. Returns whether all have passed."""
    passed = []
    for driver in manifest.drivers:
        subject = DriverSubject(manifest, driver, options)
        name = f"{driver.vendor} {driver.model}"
        passed.append(run_checks(subject, name, CHECKS, report))
    return all(passed)


def _window() -> Tuple[int, int]:
    end_ms = int(time.time() * 1000)
    return end_ms - 300_000, end_ms


def _object(call: str, outcome: Outcome) -> Dict[str, Any]:
    if outcome.kind != "result" or not isinstance(outcome.value, dict):
        raise Failed(f"the result of `{call}` is not an object: {outcome}")
    return outcome.value


def _performance(process: Process, outcome: Outcome) -> PerformanceBatch:
    if outcome.kind != "result":
        raise Failed(f"collect: {outcome}")
    try:
        return PerformanceBatch(process.payload)
    except ArrowError as error:
        raise Failed(f"the result of `collect` is not a performance batch: {error}") from None


def _alerts(process: Process, call: str, outcome: Outcome) -> AlertBatch:
    if outcome.kind != "result":
        raise Failed(f"{call}: {outcome}")
    try:
        return AlertBatch(process.payload)
    except ArrowError as error:
        raise Failed(f"the result of `{call}` is not an alert batch: {error}") from None


def _expect_no_restart(what: str, outcome: Outcome) -> None:
    if outcome.kind == "restart":
        raise Failed(f"{what}: {outcome}")
