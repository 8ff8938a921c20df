"""Exporters for SODA Delfin that hand every batch to delfin-host.

Delfin loads them by their entry points, and uses those that `delfin.conf` names.
"""

from .exporter import AlertExporterDelfinHost, PerformanceExporterDelfinHost

__all__ = ["AlertExporterDelfinHost", "PerformanceExporterDelfinHost"]
