"""The class of an exporter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, ClassVar, Generic, Type, TypeVar

from .batch import AlertBatch, Batch, PerformanceBatch
from .call import Call
from .outcome import Outcome


class Host:
    """What the host lends to an exporter."""

    def __init__(
        self,
        name: str,
        state_dir: Path,
        instance: int = 0,
        count: Callable[[str, int], None] = lambda name, by: None,
    ) -> None:
        #: The name of the exporter in the configuration.
        self.name = name
        #: An existing folder for files of the exporter.
        self.state_dir = state_dir
        #: The number among the instances of the same exporter, from 0.
        self.instance = instance
        self._count = count

    def count(self, name: str, by: int = 1) -> None:
        """Adds to a counter of the exporter, which the host shows in its metrics."""
        self._count(name, by)


@dataclass
class NoSettings:
    """The settings of an exporter without settings."""


B = TypeVar("B", bound=Batch)


class Exporter(Generic[B]):
    """Sends batches to a receiver. The host makes one call at a time, all on one thread.

    Each function returns `None` for success, or returns or raises a `Failure`. After any other
    exception the host creates a new instance and sends the rows again; if the same happens ten
    times in a row, the exporter is quarantined.
    """

    #: `plugin` in the configuration. The name of the class, if a subclass does not set it.
    NAME: ClassVar[str]
    BATCH: ClassVar[Type[Batch]]
    #: A dataclass with the settings: see `delfin_plugin.setting`.
    SETTINGS: ClassVar[Type[Any]] = NoSettings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "NAME" not in vars(cls):
            cls.NAME = cls.__name__

    def __init__(self, settings: Any, host: Host) -> None:
        """Prepares the exporter. Raise `Misconfigured` if a setting is wrong."""
        self.settings = settings
        self.host = host

    def export(self, batch: B) -> Outcome:
        """Sends the rows."""
        raise NotImplementedError

    def flush(self, call: Call) -> Outcome:
        """Sends what is buffered."""
        return None

    def health(self, call: Call) -> Outcome:
        """Checks whether the receiver is available."""
        return None

    def tick(self, call: Call) -> Outcome:
        """Does what must happen without rows. Called about once a second while there are none."""
        return None

    def close(self, call: Call) -> Outcome:
        """Releases ports, files and connections. No call follows."""
        return None


class PerformanceExporter(Exporter[PerformanceBatch]):
    """An exporter of series of points."""

    BATCH = PerformanceBatch


class AlertExporter(Exporter[AlertBatch]):
    """An exporter of alerts."""

    BATCH = AlertBatch
