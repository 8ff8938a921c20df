"""The exporters. A dispatch is over when its batch is durable: in the spool on the disk."""

from __future__ import annotations

from typing import Any

from delfin.exporter import base_exporter
from oslo_log import log

from . import encode, syncs
from .options import options
from .sender import Sender, sender

LOG = log.getLogger(__name__)


class PerformanceExporterDelfinHost(base_exporter.BaseExporter):  # type: ignore[misc]
    """Hands performance batches to delfin-host."""

    def __init__(self) -> None:
        # Begins to send what an earlier process has left.
        _performance()

    def dispatch(self, ctxt: Any, data: Any) -> None:
        """Takes a list of `Metric` tuples. Raises if the spool does not take them."""
        skipped = encode.Skipped()
        for body in encode.performance(data, skipped):
            _performance().append(body.content, body.items)
        _performance().skip(skipped.points, skipped.items)


class AlertExporterDelfinHost(base_exporter.BaseExporter):  # type: ignore[misc]
    """Hands alerts to delfin-host."""

    def __init__(self) -> None:
        _alerts()
        if options().complete_syncs:
            syncs.watch(self._on_empty, LOG)

    def dispatch(self, ctxt: Any, data: Any) -> None:
        """Takes a list of alerts. Raises if the spool does not take them."""
        self._export(data, syncs.complete_for() if options().complete_syncs else None)

    def _on_empty(self, storage_id: str) -> None:
        # Delfin does not dispatch an empty list.
        self._export([], storage_id)

    def _export(self, data: Any, complete_for: "str | None") -> None:
        skipped = encode.Skipped()
        body = encode.alerts(data, skipped, complete_for)
        if body.items or complete_for:
            _alerts().append(body.content, body.items)
        _alerts().skip(skipped.points, skipped.items)


def _performance() -> Sender:
    return sender("performance", options(), LOG)


def _alerts() -> Sender:
    return sender("alerts", options(), LOG)
