"""Runs exporter classes of SODA Delfin: the host calls, the class gets `dispatch(context, data)`.

Promises: the class gets what Delfin would give it, `Metric` tuples or alerts as dictionaries, and a working directory
of its own. A dispatch that returns is delivered; one that raises is repeated.
"""

from __future__ import annotations

import importlib
import os
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from delfin_plugin import (
    AlertBatch,
    AlertExporter,
    Host,
    Misconfigured,
    Outcome,
    PerformanceBatch,
    PerformanceExporter,
    Retry,
    run,
    setting,
)

#: As in `delfin.common.constants`.
Metric = namedtuple("Metric", "name labels values")


@dataclass
class Settings:
    """The class, and the options that it reads."""

    class_: str = setting(
        check=lambda path: all(path.partition(":")[::2]),
        remedy='write `MODULE:CLASS`, as in "delfin.exporter.prometheus.exporter:PerformanceExporterPrometheus"',
    )
    delfin_conf: Optional[Path] = setting(
        None, check=lambda path: path.is_file(), remedy="write the path of Delfin's configuration file"
    )


class Dispatcher:
    """An object of the class."""

    def __init__(self, settings: Settings, host: Host) -> None:
        conf = settings.delfin_conf and settings.delfin_conf.absolute()
        # Delfin's exporter for Prometheus changes the directory of its process.
        os.chdir(host.state_dir)
        exporter = _load(settings.class_)
        if conf is not None:
            _read_options(conf)
        self._context = _context()
        self._exporter = exporter()

    def dispatch(self, data: Any) -> Outcome:
        """Calls the class."""
        try:
            self._exporter.dispatch(self._context, data)
        except Exception as error:
            return Retry(f"`dispatch` failed: {type(error).__name__}: {error}")
        return None


class PerformanceExporterDelfin(PerformanceExporter):
    """Hands series to the class."""

    SETTINGS = Settings

    def __init__(self, settings: Settings, host: Host) -> None:
        super().__init__(settings, host)
        self._dispatcher = Dispatcher(settings, host)

    def export(self, batch: PerformanceBatch) -> Outcome:
        metrics = [Metric(series.name, series.labels, dict(series.points())) for series in batch]
        return self._dispatcher.dispatch(metrics) if metrics else None


class AlertExporterDelfin(AlertExporter):
    """Hands alerts to the class."""

    SETTINGS = Settings

    def __init__(self, settings: Settings, host: Host) -> None:
        super().__init__(settings, host)
        self._dispatcher = Dispatcher(settings, host)

    def export(self, batch: AlertBatch) -> Outcome:
        alerts = [{**alert.extra, **alert.texts, "occur_time": alert.occur_time} for alert in batch]
        return self._dispatcher.dispatch(alerts) if alerts else None


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        remedy = "link the environment of Delfin as `venv` into the folder of the plugin, or install Delfin for python3"
        raise Misconfigured(f"`class`: cannot import `{module}`: {error} ({remedy})") from error
    except (ImportError, AttributeError) as error:
        raise Misconfigured(f"`class`: cannot import `{path}`: {error}") from error
    if not callable(getattr(found, "dispatch", None)):
        raise Misconfigured(f"`class`: `{path}` has no `dispatch(context, data)`")
    return found


def _read_options(file: Path) -> None:
    from oslo_config import cfg

    try:
        cfg.CONF([], project="delfin", default_config_files=[str(file)])
    except cfg.Error as error:
        raise Misconfigured(f"`delfin_conf`: {error}") from error


def _context() -> Any:
    try:
        from delfin import context

        return context.get_admin_context()
    except (ImportError, TypeError):
        # A class outside of Delfin, or a version of oslo.context that Delfin does not know.
        return None


if __name__ == "__main__":
    run(PerformanceExporterDelfin, AlertExporterDelfin)
