"""Counts items, and fails in the way that the setting `fail` names."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Literal

from delfin_plugin import (
    AlertExporter,
    Batch,
    Host,
    Outcome,
    Partial,
    PerformanceExporter,
    Throttled,
    Undelivered,
    run,
    setting,
)


@dataclass
class Settings:
    counter: str = setting(remedy="name a counter")
    fail: Literal["never", "exception", "exit", "partial", "throttled", "value"] = "never"


def count(batch: Batch, settings: Settings, host: Host) -> Outcome:
    # Neither a print nor a child that reads may disturb the connection.
    print("counting")
    subprocess.run(["cat"], check=True)
    if settings.fail == "exception":
        raise KeyError("secret")
    if settings.fail == "exit":
        sys.stderr.write("bye\n")
        os._exit(3)
    if settings.fail == "partial":
        return Partial(
            [
                Undelivered(0, reason="refused"),
                Undelivered(1, 2, reason="busy", retry=True),
                Undelivered(3, reason="no response", uncertain=True),
            ]
        )
    if settings.fail == "throttled":
        return Throttled("overloaded", after=1.5, extra={"status": "429"})
    if settings.fail == "value":
        return True  # type: ignore[return-value]
    host.count(settings.counter, batch.items)
    return None


class PerformanceExporterCount(PerformanceExporter):
    SETTINGS = Settings

    def export(self, batch: Any) -> Outcome:
        return count(batch, self.settings, self.host)


class AlertExporterCount(AlertExporter):
    SETTINGS = Settings

    def export(self, batch: Any) -> Outcome:
        return count(batch, self.settings, self.host)


if __name__ == "__main__":
    run(PerformanceExporterCount, AlertExporterCount)
