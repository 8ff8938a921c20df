"""The calls to a driver."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Sequence, Type

from . import logs
from .builder import AlertBuilder, SeriesBuilder
from .calls import Answer, Calls, Count, Received, Result
from .driver import Capabilities, Driver, DriverHost, Storage, StorageInfo, Window
from .frames import Message
from .outcome import Misconfigured

#: A longer list of resources is a payload, because a header has a limit.
_MAX_INLINE = 1 << 20

_CAPACITIES = ("total", "used", "free", "raw", "subscribed")


class DriverCalls(Calls):
    NAMES = (
        "open",
        "identify",
        "capabilities",
        "collect",
        "list_alerts",
        "clear_alert",
        "parse_trap",
        "list_resources",
        "close",
    )

    def __init__(self, offered: Sequence[Type[Driver]], count: Count) -> None:
        self._offered = {model: driver for driver in offered for model in driver.MODELS}
        self._driver: Optional[Driver] = None
        self._count = count

    @property
    def has_instance(self) -> bool:
        return self._driver is not None

    def call(self, received: Received) -> Answer:
        message, name = received.message, received.name
        if name == "open":
            self._open(received)
            return None
        driver = self._driver
        if driver is None:
            raise RuntimeError("the driver is not open")
        if "level" in message:
            logs.set_level(message["level"])
        driver.call = received.context()
        if name == "identify":
            return Result(_storage_info(driver.identify()))
        if name == "capabilities":
            return Result(_capabilities(driver.capabilities()))
        if name == "collect":
            window = Window(message["start_ms"], message["end_ms"])
            return _built(SeriesBuilder, driver.collect(window))
        if name == "list_alerts":
            start = message.get("start_ms")
            selected = None if start is None else Window(start, message["end_ms"])
            return _built(AlertBuilder, driver.list_alerts(selected))
        if name == "parse_trap":
            return _built(AlertBuilder, driver.parse_trap(dict(message["variables"])))
        if name == "list_resources":
            return _resources(driver.list_resources(message["kind"]))
        if name == "clear_alert":
            driver.clear_alert(message["sequence_number"])
        else:
            driver.close()
        return None

    def _open(self, received: Received) -> None:
        message = received.message
        logs.set_level(message["level"])
        vendor, model = message["vendor"], message["model"]
        offered = self._offered.get((vendor, model))
        if offered is None:
            names = ", ".join(f"`{vendor}` `{model}`" for vendor, model in self._offered)
            raise Misconfigured(
                f"the program has no driver for vendor `{vendor}`, model `{model}` "
                f"(it has {names or 'none'}; correct `plugin.toml`)"
            )
        interval = message.get("interval_ms")
        storage = Storage(
            id=message["storage_id"],
            vendor=vendor,
            model=model,
            options=message.get("options", {}),
            interval=None if interval is None else interval / 1000,
        )
        driver = offered.__new__(offered)
        # Also the constructor can ask for the deadline.
        driver.call = received.context()
        driver.__init__(storage, DriverHost(Path(message["state_dir"]), self._count))  # type: ignore[misc]
        self._driver = driver


def _storage_info(info: StorageInfo) -> Message:
    _expect(StorageInfo, info)
    value: Message = dataclasses.asdict(info)
    capacity = {name: int(value.pop(f"{name}_capacity")) for name in _CAPACITIES}
    reduction = value.pop("data_reduction")
    present: Message = {name: str(text) for name, text in value.items() if text}
    if reduction is not None:
        present["data_reduction"] = float(reduction)
    return {"name": info.name, "serial_number": info.serial_number, **present, "capacity": capacity}


def _capabilities(found: Capabilities) -> Message:
    _expect(Capabilities, found)
    metrics = found.metrics.items()
    value: Message = {
        "is_historic": bool(found.is_historic),
        "metrics": {kind: [metric._asdict() for metric in listed] for kind, listed in metrics},
        "alert_identity": list(found.alert_identity),
    }
    if found.retention is not None:
        value["retention_ms"] = int(found.retention.total_seconds() * 1000)
    return value


def _resources(listed: Iterable[Dict[str, Any]]) -> Result:
    resources = list(listed)
    text = json.dumps(resources, allow_nan=False).encode()
    return Result(payload=text) if len(text) > _MAX_INLINE else Result(resources)


def _built(builder: Any, built: Any) -> Result:
    _expect(builder, built)
    return Result(payload=built.build().payload)


def _expect(kind: Type[Any], found: object) -> None:
    if not isinstance(found, kind):
        raise TypeError(f"the driver returned {type(found).__name__}, not {kind.__name__}")
