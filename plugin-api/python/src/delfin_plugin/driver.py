"""The class of a driver: it asks one storage for measurements and alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .builder import AlertBuilder, SeriesBuilder
from .call import Call
from .outcome import Misconfigured, Unsupported
from .settings import Secret

#: The options that hold access data: a table each.
ACCESS = ("rest", "ssh", "cli", "smis")


class Storage:
    """The storage that a driver asks, as it was registered."""

    def __init__(
        self,
        id: str,
        vendor: str,
        model: str,
        options: Optional[Mapping[str, Any]] = None,
        interval: Optional[float] = None,
    ) -> None:
        #: The id of the storage in the host.
        self.id = id
        self.vendor = vendor
        self.model = model
        #: Everything that it was registered with, secrets in clear: do not log it.
        self.options: Dict[str, Any] = dict(options or {})
        #: Seconds between two measurements; `None` if the host does not measure at an interval.
        self.interval = interval

    def access(self, kind: str) -> Optional[Access]:
        """How to reach the storage over `rest`, `ssh`, `cli` or `smis`; `None` if not registered."""
        table = self.options.get(kind)
        return Access(table) if isinstance(table, dict) else None

    @property
    def extra(self) -> Dict[str, Any]:
        """The `extra_attributes` of the registration."""
        table = self.options.get("extra_attributes")
        return dict(table) if isinstance(table, dict) else {}


class Access:
    """How to reach a storage over one protocol."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        #: All values as they were registered, secrets in clear: do not log them.
        self.table: Dict[str, Any] = dict(table)
        self.host = str(table.get("host") or "")
        try:
            self.port = int(table.get("port") or 0)
        except (TypeError, ValueError):
            raise Misconfigured(f"`{table['port']}` is not a port (use a number)") from None
        self.username = str(table.get("username") or "")
        self.password = Secret(str(table.get("password") or ""))


class DriverHost:
    """What the host lends to a driver."""

    def __init__(
        self,
        state_dir: Path,
        count: Callable[[str, int], None] = lambda name, by: None,
    ) -> None:
        #: An existing folder for files of this driver and this storage. It is the working
        #: directory only if the driver changes to it.
        self.state_dir = state_dir
        self._count = count

    def count(self, name: str, by: int = 1) -> None:
        """Adds to a counter of the storage."""
        self._count(name, by)


class Window(NamedTuple):
    """A range of time, in milliseconds since the Unix epoch."""

    start_ms: int
    #: The first millisecond after the range.
    end_ms: int


@dataclass
class StorageInfo:
    """What a storage says about itself. Empty: the vendor and the model of the registration."""

    name: str
    serial_number: str
    vendor: str = ""
    model: str = ""
    description: Optional[str] = None
    location: Optional[str] = None
    firmware_version: Optional[str] = None
    #: Capacities are in bytes; 0 is unknown.
    total_capacity: int = 0
    used_capacity: int = 0
    free_capacity: int = 0
    raw_capacity: int = 0
    subscribed_capacity: int = 0
    #: Written data divided by the capacity that it needs.
    data_reduction: Optional[float] = None


class MetricInfo(NamedTuple):
    """A metric that a driver measures."""

    name: str
    unit: str
    description: str = ""


@dataclass
class Capabilities:
    """What a driver can measure."""

    #: The metrics of each resource type: see `SeriesBuilder.add`.
    metrics: Dict[str, List[MetricInfo]] = field(default_factory=dict)
    #: Whether the storage keeps points of the past. If not, the driver measures the present.
    is_historic: bool = False
    #: How long the storage keeps points.
    retention: Optional[timedelta] = None
    #: The columns of an alert that together identify it. Empty: name, location and sequence number.
    alert_identity: Sequence[str] = ()


class Driver:
    """Asks one storage. The host makes one call at a time, all on one thread.

    A function returns its result or raises a `Failure`: `Retry` if the storage does not answer,
    `Unauthorized` if it refuses the login, `Misconfigured` if an option is wrong, `Rejected` if
    the driver cannot read the answer, `Unsupported` if the driver cannot do it at all
    (`NotImplementedError` is the same). After any other exception, and after a call past its
    deadline, the host starts a new process.
    """

    #: The vendors and models that the class is for, as in `plugin.toml`.
    MODELS: ClassVar[Sequence[Tuple[str, str]]] = ()

    #: The call in progress: its deadline, and whether it should return soon.
    call: Call

    def __init__(self, storage: Storage, host: DriverHost) -> None:
        """Prepares the driver, and may log in."""
        self.storage = storage
        self.host = host

    def identify(self) -> StorageInfo:
        """Asks the storage for its name and its serial number. The first call."""
        raise NotImplementedError

    def capabilities(self) -> Capabilities:
        """What the driver can measure. Called once, after `identify`."""
        return Capabilities()

    def collect(self, window: Window) -> SeriesBuilder:
        """Measures: the points of a window, or those of now if the storage is not historic.

        Windows have no gaps. After a failure, the next window begins where this one does.
        """
        raise Unsupported("the driver measures nothing")

    def list_alerts(self, window: Optional[Window]) -> AlertBuilder:
        """Every active alert; with a window, those that occurred in it."""
        raise Unsupported("the driver has no alerts")

    def clear_alert(self, sequence_number: str) -> None:
        """Clears an alert at the storage."""
        raise Unsupported("the storage does not let users clear alerts")

    def parse_trap(self, variables: Dict[str, str]) -> AlertBuilder:
        """The alerts of an SNMP trap: the text of each object identifier."""
        raise Unsupported("the driver has no traps")

    def list_resources(self, kind: str) -> List[Dict[str, Any]]:
        """The resources of a kind, as `volumes` or `storage_pools`: JSON values."""
        raise Unsupported(f"the driver does not list {kind}")

    def close(self) -> None:
        """Logs out. No call follows."""
