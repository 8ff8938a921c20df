"""Exporters for delfin-host in Python.

An exporter is a class with `export(batch)`:

    from delfin_plugin import Outcome, PerformanceBatch, PerformanceExporter, run

    class Count(PerformanceExporter):
        def export(self, batch: PerformanceBatch) -> Outcome:
            self.host.count("points", batch.items)

    if __name__ == "__main__":
        run(Count)
"""

from .batch import TEXT_COLUMNS, Alert, AlertBatch, Batch, PerformanceBatch, Series
from .builder import build_alerts, build_performance
from .call import Call, Part
from .columns import LabelColumn, ListColumn, TextColumn, TextDictionary
from .exporter import AlertExporter, Exporter, Host, NoSettings, PerformanceExporter
from .outcome import (
    Failure,
    Fatal,
    Misconfigured,
    Outcome,
    Partial,
    Rejected,
    Retry,
    Throttled,
    TooLarge,
    Unauthorized,
    Uncertain,
    Undelivered,
)
from .program import run
from .settings import Secret, SettingsError, setting

__all__ = [
    "TEXT_COLUMNS",
    "Alert",
    "AlertBatch",
    "AlertExporter",
    "Batch",
    "Call",
    "Exporter",
    "Failure",
    "Fatal",
    "Host",
    "LabelColumn",
    "ListColumn",
    "Misconfigured",
    "NoSettings",
    "Outcome",
    "Part",
    "Partial",
    "PerformanceBatch",
    "PerformanceExporter",
    "Rejected",
    "Retry",
    "Secret",
    "Series",
    "SettingsError",
    "TextColumn",
    "TextDictionary",
    "Throttled",
    "TooLarge",
    "Unauthorized",
    "Uncertain",
    "Undelivered",
    "build_alerts",
    "build_performance",
    "run",
    "setting",
]
