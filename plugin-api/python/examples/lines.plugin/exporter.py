"""Appends JSON lines to a file, as the plugin `file` does."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Optional

from delfin_plugin import (
    AlertBatch,
    AlertExporter,
    Call,
    Host,
    Misconfigured,
    Outcome,
    Partial,
    PerformanceBatch,
    PerformanceExporter,
    Retry,
    Undelivered,
    run,
    setting,
)


@dataclass
class Settings:
    path: Path = setting(remedy="name the file to append to")
    required_label: Optional[str] = None


@dataclass
class AlertSettings:
    path: Path = setting(remedy="name the file to append to")


class Lines:
    """The file. It is opened at the start, so that a wrong path is noticed then."""

    def __init__(self, path: Path) -> None:
        try:
            self.file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise Misconfigured(f"cannot open `{path}`: {error.strerror} (correct `path`)") from None

    def append(self, rows: Iterable[Dict[str, Any]]) -> Outcome:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        try:
            self.file.write(text)
            self.file.flush()
        except OSError as error:
            return Retry(f"cannot write: {error.strerror}")
        return None


class PerformanceExporterLines(PerformanceExporter):
    SETTINGS = Settings

    def __init__(self, settings: Settings, host: Host) -> None:
        super().__init__(settings, host)
        self.lines = Lines(settings.path)

    def export(self, batch: PerformanceBatch) -> Outcome:
        wanted = self.settings.required_label
        rows, refused = [], []
        for number, series in enumerate(batch):
            if wanted is not None and wanted not in series.labels:
                refused.append(Undelivered(number, reason=f"it has no label `{wanted}`"))
                continue
            points = {str(time): value for time, value in series.points() if math.isfinite(value)}
            rows.append({"name": series.name, "labels": series.labels, "values": points})
        outcome = self.lines.append(rows)
        if outcome is None and refused:
            outcome = Partial(refused)
        return outcome

    def close(self, call: Call) -> Outcome:
        self.lines.file.close()
        return None


class AlertExporterLines(AlertExporter):
    SETTINGS = AlertSettings

    def __init__(self, settings: AlertSettings, host: Host) -> None:
        super().__init__(settings, host)
        self.lines = Lines(settings.path)

    def export(self, batch: AlertBatch) -> Outcome:
        rows = ({**row.texts, "occur_time": row.occur_time, **row.extra} for row in batch)
        return self.lines.append(rows)


if __name__ == "__main__":
    run(PerformanceExporterLines, AlertExporterLines)
