"""Exporters and drivers for delfin-host in Python.

An exporter is a class with `export(batch)`:

    from delfin_plugin import Outcome, PerformanceBatch, PerformanceExporter, run

    class Count(PerformanceExporter):
        def export(self, batch: PerformanceBatch) -> Outcome:
            self.host.count("points", batch.items)

    if __name__ == "__main__":
        run(Count)

A driver is a class with `collect(window)`: see `Driver`.
"""

from .batch import TEXT_COLUMNS, Alert, AlertBatch, Batch, PerformanceBatch, Series
from .builder import AlertBuilder, SeriesBuilder, build_alerts, build_performance
from .call import Call, Part
from .columns import LabelColumn, ListColumn, TextColumn, TextDictionary
from .driver import (
    Access,
    Capabilities,
    Driver,
    DriverHost,
    MetricInfo,
    Storage,
    StorageInfo,
    Window,
)
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
    Unsupported,
)
from .program import run
from .settings import Secret, SettingsError, setting

__all__ = [
    "TEXT_COLUMNS",
    "Access",
    "Alert",
    "AlertBatch",
    "AlertBuilder",
    "AlertExporter",
    "Batch",
    "Call",
    "Capabilities",
    "Driver",
    "DriverHost",
    "Exporter",
    "Failure",
    "Fatal",
    "Host",
    "LabelColumn",
    "ListColumn",
    "MetricInfo",
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
    "SeriesBuilder",
    "SettingsError",
    "Storage",
    "StorageInfo",
    "TextColumn",
    "TextDictionary",
    "Throttled",
    "TooLarge",
    "Unauthorized",
    "Uncertain",
    "Undelivered",
    "Unsupported",
    "Window",
    "build_alerts",
    "build_performance",
    "run",
    "setting",
]
