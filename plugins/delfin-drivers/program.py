"""Runs drivers of SODA Delfin: one storage in one process, without Delfin's database, message bus and services."""

from __future__ import annotations

import logging
import os
import time
import types
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, List, Optional

from delfin_plugin import (
    AlertBuilder,
    Capabilities,
    Driver,
    DriverHost,
    MetricInfo,
    Misconfigured,
    SeriesBuilder,
    Retry,
    Storage,
    StorageInfo,
    Unsupported,
    Window,
    run,
)
from delfin_plugin.driver import ACCESS

from adapter import alerts, loading, logs, metrics, netapp, resources, ssh
from adapter.failures import outcomes, readable

_log = logging.getLogger(__name__)

#: The lists of resources that have the names for a type of resources, and the key of the id.
_NAMES = {
    "storagePool": ("list_storage_pools", "native_storage_pool_id"),
    "volume": ("list_volumes", "native_volume_id"),
    "controller": ("list_controllers", "native_controller_id"),
    "port": ("list_ports", "native_port_id"),
    "disk": ("list_disks", "native_disk_id"),
    "filesystem": ("list_filesystems", "native_filesystem_id"),
}
#: How long names of resources are kept, in seconds.
_NAMES_AGE = 3600.0


class DelfinDriver(Driver):
    """Asks one storage through a driver of Delfin."""

    MODELS = list(loading.models())

    def __init__(self, storage: Storage, host: DriverHost) -> None:
        super().__init__(storage, host)
        self._model = (storage.vendor, storage.model)
        self._is_netapp = storage.vendor == "netapp"
        self._context = types.SimpleNamespace(storage_id=storage.id, is_admin=True)
        self._delivered = metrics.Delivered()
        self._names: Dict[str, Dict[str, str]] = {}
        self._names_from = 0.0
        self._resource_metrics: Dict[str, Any] = {}
        self._version = ""
        self._driver: Optional[Any] = None
        logs.reduce()
        loading.prepare()
        # Some drivers write files into the working directory.
        os.chdir(host.state_dir)
        with outcomes():
            self._class = loading.load(*self._model)
            ssh.mend()
            netapp.mend()
        _make_folders()
        self._open()

    def _open(self) -> Any:
        """The driver, which logs in when it is created. After an error there is a new one."""
        if self._driver is None:
            with outcomes():
                self._driver = self._class(**_access(self.storage))
        return self._driver

    def _call(self, name: str, *arguments: Any) -> Any:
        driver = self._open()
        try:
            with outcomes():
                return getattr(driver, name)(self._context, *arguments)
        except NotImplementedError:
            raise
        except Exception:
            # Its session may have ended.
            self._driver = None
            raise

    def identify(self) -> StorageInfo:
        found = self._call("get_storage") or {}
        if not found.get("serial_number"):
            # What some drivers return for an array that does not answer.
            raise Retry("the storage did not tell its serial number")
        self._version = str(found.get("firmware_version") or "")
        given: Dict[str, Any] = {name: str(found.get(name) or "") for name in ("vendor", "model")}
        with readable("description of the storage"):
            for name in ("total", "used", "free", "raw", "subscribed"):
                given[f"{name}_capacity"] = int(found.get(f"{name}_capacity") or 0)
        return StorageInfo(
            name=str(found.get("name") or self.storage.id),
            serial_number=str(found["serial_number"]),
            description=found.get("description"),
            location=found.get("location"),
            firmware_version=self._version or None,
            **given,
        )

    def capabilities(self) -> Capabilities:
        filters = None
        if self._is_netapp:
            filters = {"firmware_version": netapp.clamp(self._version)}
        found = self._call("get_capabilities", filters) or {}
        self._resource_metrics = found.get("resource_metrics") or {}
        retention = found.get("performance_metric_retention_window")
        return Capabilities(
            metrics={
                kind: [
                    MetricInfo(name, str(about.get("unit") or ""), str(about.get("description") or ""))
                    for name, about in listed.items()
                ]
                for kind, listed in self._resource_metrics.items()
            },
            is_historic=bool(found.get("is_historic")),
            retention=timedelta(seconds=int(retention)) if retention else None,
            alert_identity=("sequence_number",) if self.storage.vendor == "huawei" else (),
        )

    def collect(self, window: Window) -> SeriesBuilder:
        if not self._resource_metrics:
            raise Unsupported("the driver of Delfin measures nothing")
        start = self._delivered.begin(window)
        found = self._call("collect_perf_metrics", self.storage.id, self._resource_metrics, start, window.end_ms)
        skipped = metrics.Skipped()
        with readable("metrics"):
            series = metrics.build(found or [], self._model, self._delivered, self._name, skipped)
        for name, points in (("points_without_number", skipped.no_number), ("repeated_points", skipped.duplicates)):
            if points:
                self.host.count(name, points)
        return series

    def list_alerts(self, window: Optional[Window]) -> AlertBuilder:
        # Drivers do not agree on the unit of the times in a query.
        return _alerts(self._call("list_alerts", None) or [], window)

    def clear_alert(self, sequence_number: str) -> None:
        self._call("clear_alert", {"alert_id": sequence_number} if self._is_netapp else sequence_number)

    def parse_trap(self, variables: Dict[str, str]) -> AlertBuilder:
        try:
            with outcomes():
                found = self._class.parse_alert(self._context, {**variables, "storage_id": self.storage.id})
        except Exception as error:
            if type(error.__cause__).__name__ != "IncompleteTrapInformation":
                raise
            # The trap only says that there is something to ask for.
            return self.list_alerts(None)
        return _alerts([found] if found else [])

    def list_resources(self, kind: str) -> List[Dict[str, Any]]:
        if not hasattr(self._class, f"list_{kind}"):
            raise Unsupported(f"Delfin has no {kind}")
        found = self._call(f"list_{kind}")
        with readable(f"list of {kind}"):
            return resources.build(kind, found)

    def close(self) -> None:
        close = getattr(self._driver, "close_connection", None)
        if close is not None:
            with outcomes():
                close()

    def _name(self, resource_type: str, resource_id: str) -> Optional[str]:
        if time.monotonic() - self._names_from > _NAMES_AGE:
            self._names, self._names_from = {}, time.monotonic()
        if resource_type not in self._names:
            self._names[resource_type] = self._list_names(resource_type)
        return self._names[resource_type].get(resource_id)

    def _list_names(self, resource_type: str) -> Dict[str, str]:
        if resource_type not in _NAMES or self._driver is None:
            return {}
        function, key = _NAMES[resource_type]
        try:
            found = getattr(self._driver, function)(self._context) or []
            return {str(one.get(key)): str(one["name"]) for one in found if one.get("name")}
        except Exception as error:
            # The points matter more than the names.
            _log.debug("cannot list the names of resources: %s", error)
            return {}


def _alerts(found: List[Dict[str, Any]], window: Optional[Window] = None) -> AlertBuilder:
    with readable("alerts"):
        return alerts.build(found, int(time.time() * 1000), window)


def _access(storage: Storage) -> Dict[str, Any]:
    """The parameters of the constructor of a driver."""
    ca = storage.extra.get("tls_ca")
    if ca and ca != "system" and not Path(str(ca)).exists():
        raise Misconfigured(f"`tls_ca`: `{ca}` does not exist (write the path of a file with certificates, or `system`)")
    parameters: Dict[str, Any] = {
        "storage_id": storage.id,
        "vendor": storage.vendor,
        "model": storage.model,
        "verify": False if not ca else True if ca == "system" else str(ca),
    }
    tables = {kind: storage.access(kind) for kind in ACCESS}
    parameters.update({kind: access.table for kind, access in tables.items() if access is not None})
    if "rest" in parameters and not ca:
        _log.warning("the certificate of the storage is not verified (set `tls_ca` in `extra_attributes`)")
    if "ssh" in parameters and parameters["ssh"].get("pub_key"):
        ssh.check(parameters["ssh"])
    elif "ssh" in parameters:
        # To Delfin's clients an empty text would be a key.
        parameters["ssh"].pop("pub_key", None)
        _log.warning("the SSH host key of the storage is not verified (set `pub_key_type` and `pub_key` in `ssh`)")
    return parameters


def _make_folders() -> None:
    """Makes the folders below the working directory where drivers put files of the array."""
    for name in ("macro_san", "svc", "vnx_block"):
        os.makedirs(f"delfin/drivers/utils/performance_file/{name}", exist_ok=True)


if __name__ == "__main__":
    run(DelfinDriver)
