"""Counts points: by their number, by reading each column, and by a loop over rows."""

from __future__ import annotations

from delfin_plugin import Outcome, PerformanceBatch, PerformanceExporter, run


class PerformanceExporterCount(PerformanceExporter):
    def export(self, batch: PerformanceBatch) -> Outcome:
        self.host.count("points", batch.items)
        return None


class PerformanceExporterColumns(PerformanceExporter):
    def export(self, batch: PerformanceBatch) -> Outcome:
        names, resources = set(batch.names), set(batch.labels.column("resource_id"))
        total = sum(batch.values.items)
        self.host.count("points", batch.items if names and resources and total else 0)
        return None


class PerformanceExporterRows(PerformanceExporter):
    def export(self, batch: PerformanceBatch) -> Outcome:
        self.host.count("points", sum(1 for series in batch for _ in series.points()))
        return None


if __name__ == "__main__":
    run(PerformanceExporterCount, PerformanceExporterColumns, PerformanceExporterRows)
