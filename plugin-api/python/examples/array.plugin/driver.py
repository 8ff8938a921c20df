"""Reads a file in place of a storage.

The file is JSON: `name`, `serial_number`, `volumes` with `id`, `name` and `iops`, and `alerts`
with `id`, `name` and `time_ms`. It is read in each call, as a storage is asked.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from delfin_plugin import (
    AlertBuilder,
    Capabilities,
    Driver,
    DriverHost,
    MetricInfo,
    Misconfigured,
    Rejected,
    Retry,
    SeriesBuilder,
    Storage,
    StorageInfo,
    Unsupported,
    Window,
    run,
)


class FileArray(Driver):
    MODELS = [("example", "array_python")]

    def __init__(self, storage: Storage, host: DriverHost) -> None:
        super().__init__(storage, host)
        file = storage.extra.get("file")
        if not isinstance(file, str):
            raise Misconfigured("`extra_attributes.file` is missing (name the file to read)")
        self.path = Path(file)

    def content(self) -> Dict[str, Any]:
        try:
            content: Dict[str, Any] = json.loads(self.path.read_text("utf-8"))
            return content
        except OSError as error:
            raise Retry(f"cannot read `{self.path}`: {error.strerror}") from None
        except ValueError as error:
            raise Rejected(f"`{self.path}` is not valid: {error}") from None

    def identify(self) -> StorageInfo:
        content = self.content()
        return StorageInfo(content["name"], content["serial_number"])

    def capabilities(self) -> Capabilities:
        iops = MetricInfo("iops", "IOPS", "Requests per second")
        return Capabilities({"volume": [iops]}, alert_identity=["sequence_number"])

    def collect(self, window: Window) -> SeriesBuilder:
        series = SeriesBuilder()
        for volume in self.content()["volumes"]:
            points = [(int(time.time() * 1000), volume["iops"])]
            name = volume["name"]
            series.add("iops", "volume", volume["id"], "IOPS", points, resource_name=name)
        return series

    def list_alerts(self, window: Optional[Window]) -> AlertBuilder:
        alerts = AlertBuilder()
        for alert in self.content()["alerts"]:
            if window is None or window.start_ms <= alert["time_ms"] < window.end_ms:
                alerts.add(
                    alert["time_ms"],
                    alert_id="fault",
                    alert_name=alert["name"],
                    severity="Major",
                    category="Fault",
                    type="EquipmentAlarm",
                    sequence_number=alert["id"],
                )
        return alerts

    def clear_alert(self, sequence_number: str) -> None:
        content = self.content()
        content["alerts"] = [
            alert for alert in content["alerts"] if str(alert["id"]) != sequence_number
        ]
        try:
            self.path.write_text(json.dumps(content), "utf-8")
        except OSError as error:
            raise Retry(f"cannot write `{self.path}`: {error.strerror}") from None

    def list_resources(self, kind: str) -> List[Dict[str, Any]]:
        if kind != "volumes":
            raise Unsupported(f"the array has no {kind}")
        volumes = self.content()["volumes"]
        return [{"native_volume_id": row["id"], "name": row["name"]} for row in volumes]


if __name__ == "__main__":
    run(FileArray)
