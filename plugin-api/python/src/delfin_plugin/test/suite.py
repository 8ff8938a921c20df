"""The conformance suite: each check is a function, and its name is the promise."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar

from ..manifest import Manifest, ManifestExporter
from . import batches
from .host import Failed, Outcome, Process

#: Returns the settings for an exporter.
Settings = Callable[[str], Dict[str, Any]]

#: Gets the exporter or the driver, the name of the check, and why it failed.
Report = Callable[[str, str, Optional[str]], None]

Checked = TypeVar("Checked")


class Subject:
    """The exporter that is tested."""

    def __init__(self, manifest: Manifest, exporter: ManifestExporter, settings: Settings) -> None:
        self.manifest = manifest
        self.name = exporter.name
        self.kind = exporter.kind
        self.settings = settings

    def process(self) -> Process:
        return Process(self.manifest)

    def create(self, process: Process) -> None:
        expect_delivered("create", process.create(self.name, self.settings(self.name)))


def delivers_empty_small_and_large_batches(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        for make in (batches.empty, batches.one, batches.large):
            batch = make(subject.kind)
            expect_delivered(f"a batch of {batch.rows} rows", process.export(batch))


def delivers_an_inline_payload(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        outcome = process.export(batches.few(subject.kind), inline=True)
        expect_delivered("an inline payload", outcome)


def delivers_some_rows_of_a_payload(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        outcome = process.export(batches.few(subject.kind), rows=(3, 4))
        expect_delivered("rows 3 to 6 of a payload", outcome)


def delivers_awkward_texts(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        outcome = process.export(batches.awkward(subject.kind))
        expect_delivered("awkward names, labels and texts", outcome)


def survives_non_finite_values(subject: Subject) -> None:
    if subject.kind == "alert":
        return
    with subject.process() as process:
        subject.create(process)
        outcome = process.export(batches.non_finite())
        if outcome.kind not in ("delivered", "partial", "reject"):
            raise Failed(f"NaN and infinite values: neither delivered nor rejected: {outcome}")
        after = process.export(batches.one(subject.kind))
        expect_delivered("the batch after NaN and infinite values", after)


def survives_calls_without_a_batch(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        for name in ("flush", "health", "tick", "close"):
            outcome = process.call(name)
            if outcome.kind != "unsupported":
                expect_delivered(name, outcome)


def returns_after_a_missed_deadline(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        process.cancel()
        outcome = process.export(batches.one(subject.kind), seconds=0)
        expect_no_exception("a call past its deadline", outcome)


def refuses_an_unknown_setting(subject: Subject) -> None:
    settings = {**subject.settings(subject.name), "no_such_setting": 1}
    outcome = expect_misconfigured(subject, "an unknown setting", settings)
    if "no_such_setting" not in outcome.message:
        raise Failed(f"the error does not name the unknown setting: {outcome}")


def refuses_a_setting_of_another_type(subject: Subject) -> None:
    good = subject.settings(subject.name)
    for key in good:
        expect_misconfigured(subject, f"`{key} = [[]]`", {**good, key: [[]]})


def checks_settings_without_an_instance(subject: Subject) -> None:
    settings = subject.settings(subject.name)
    with subject.process() as process:
        outcome = process.call("check", exporter=subject.name, config=settings)
        if outcome.kind == "unsupported":
            return
        expect_delivered("check", outcome)
        wrong = {**settings, "no_such_setting": 1}
        outcome = process.call("check", exporter=subject.name, config=wrong)
        if (outcome.kind, outcome.detail) != ("pause", 0):
            raise Failed(f"check of an unknown setting: not `Misconfigured`: {outcome}")
        # The check has created nothing.
        subject.create(process)


def names_an_unknown_message(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        outcome = process.call("no_such_message")
        if outcome.kind != "unsupported":
            raise Failed(f"an unknown message is not answered with `unsupported`: {outcome}")
        expect_delivered("the next call", process.export(batches.one(subject.kind)))


def exits_when_the_host_closes_the_connection(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        code = process.exit_code()
        if code != 0:
            raise Failed(f"exits with code {code} after the host has closed the connection")


def returns_from_calls_after_close(subject: Subject) -> None:
    with subject.process() as process:
        subject.create(process)
        expect_delivered("close", process.call("close"))
        process.export(batches.one(subject.kind))
        process.call("tick")
        process.call("close")


CHECKS: List[Callable[[Subject], None]] = [
    delivers_empty_small_and_large_batches,
    delivers_an_inline_payload,
    delivers_some_rows_of_a_payload,
    delivers_awkward_texts,
    survives_non_finite_values,
    survives_calls_without_a_batch,
    returns_after_a_missed_deadline,
    refuses_an_unknown_setting,
    refuses_a_setting_of_another_type,
    checks_settings_without_an_instance,
    names_an_unknown_message,
    exits_when_the_host_closes_the_connection,
    returns_from_calls_after_close,
]


def run(
    manifest: Manifest,
    settings: Settings,
    report: Report,
) -> bool:
    """Runs every check of every exporter. Returns whether all have passed."""
    subjects = [Subject(manifest, exporter, settings) for exporter in manifest.exporters]
    passed = [run_checks(subject, subject.name, CHECKS, report) for subject in subjects]
    return all(passed)


def run_checks(
    subject: Checked, name: str, checks: Sequence[Callable[[Checked], None]], report: Report
) -> bool:
    """Runs the checks of one exporter or driver. Returns whether all have passed."""
    passed = True
    for check in checks:
        why: Optional[str] = None
        try:
            check(subject)
        except Failed as error:
            why = str(error)
            passed = False
        report(name, check.__name__, why)
    return passed


def expect_delivered(what: str, outcome: Outcome) -> None:
    if outcome.kind != "delivered":
        raise Failed(f"{what}: {outcome}")


def expect_no_exception(what: str, outcome: Outcome) -> None:
    if (outcome.kind, outcome.detail) == ("restart", 1):
        raise Failed(f"{what}: {outcome}")


def expect_misconfigured(subject: Subject, what: str, settings: Dict[str, Any]) -> Outcome:
    with subject.process() as process:
        outcome = process.create(subject.name, settings)
    if outcome.kind == "delivered":
        raise Failed(f"accepts {what}")
    if (outcome.kind, outcome.detail) != ("pause", 0):
        raise Failed(f"{what}: the outcome is not `Misconfigured`: {outcome}")
    return outcome
