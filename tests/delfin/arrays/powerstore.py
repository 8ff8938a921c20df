"""What a PowerStore answers, whose driver Delfin has since 1.9."""

from __future__ import annotations

import hashlib
from typing import Any, Dict

from .models import MINUTE, Array, clock


def powerstore() -> Array:
    def measured(seconds_ago: int, megabytes: int, repeats: int = 1) -> Dict[str, Any]:
        return {
            "timestamp": clock("%Y-%m-%dT%H:%M:%SZ", MINUTE - seconds_ago),
            "repeat_count": repeats,
            **{f"{kind}_iops": 1.5 for kind in ("total", "read", "write")},
            **{f"{kind}_bandwidth": megabytes << 20 for kind in ("total", "read", "write")},
            **{name: 500.0 for name in ("avg_latency", "avg_read_latency", "avg_write_latency")},
            **{name: 4096.0 for name in ("avg_io_size", "avg_read_size", "avg_write_size")},
            # The driver has an empty text for this.
            "io_workload_cpu_utilization": None,
        }

    def generated(request: Dict[str, Any]) -> Any:
        if request["entity"].startswith("space_metrics_by_"):
            return [{"physical_total": 100, "physical_used": 40, "logical_used": 4}]
        # Every 20 seconds; the driver takes the first of each minute of its window.
        return [measured(60, 2), measured(40, 9, repeats=2), measured(0, 3)]

    name, location = "A fan failed.", "hardware:Fan-1"
    key = f"{name}{MINUTE * 1000}hardwareFan-100B0001hw-7"
    # The same alert, also when a trap tells it.
    match_key = hashlib.md5(key.encode()).hexdigest()
    oid = "1.3.6.1.4.1.1139.205.1"
    rest = "/api/rest"
    node = {"id": "hw-1", "type": "Node", "name": "BaseEnclosure-NodeA", "slot": 0, "appliance_id": "A1"}
    return Array(
        "dellemc",
        "powerstore",
        "powerstore-sn-1",
        trap={
            "1.3.6.1.6.3.1.1.4.1.0": f"{oid}.2.2",
            f"{oid}.1.1": "00B0001",
            f"{oid}.1.2": name,
            f"{oid}.1.4": "hardware",
            f"{oid}.1.5": "hw-7",
            f"{oid}.1.6": "Fan-1",
            f"{oid}.1.10": clock("%Y-%m-%dT%H:%M:%S.000Z", MINUTE),
        },
        trap_id=match_key,
        alert={
            "alert_id": "alert-1",
            "severity": "Major",
            "location": location,
            "sequence_number": "alert-1",
            "match_key": match_key,
        },
        headers={"DELL-EMC-TOKEN": "token"},
        routes={
            f"GET {rest}/": [],
            f"GET {rest}/login_session": [{"id": "1"}],
            f"POST {rest}/logout": (204, None),
            f"POST {rest}/metrics/generate": generated,
            f"GET {rest}/cluster": [
                {"id": "0", "name": "cluster-1", "global_id": "powerstore-sn-1", "primary_appliance_id": "A1", "state": "Configured"}
            ],
            f"GET {rest}/appliance": [{"id": "A1", "name": "appliance-1", "model": "PowerStore 1000T"}],
            f"GET {rest}/volume": [{"id": "vol-1", "name": "data", "type": "Primary", "state": "Ready", "size": 10}],
            f"GET {rest}/node": [{"id": "N1", "slot": 0, "appliance_id": "A1"}],
            f"GET {rest}/hardware": [{**node, "lifecycle_state": "Healthy"}],
            f"GET {rest}/alert": [
                {
                    "id": "alert-1",
                    "description_l10n": name,
                    "severity": "Major",
                    "resource_type": "hardware",
                    "resource_name": "Fan-1",
                    "resource_id": "hw-7",
                    "event_code": "00B0001",
                    "state": "ACTIVE",
                    "raised_timestamp": clock("%Y-%m-%dT%H:%M:%S.000+00:00", MINUTE),
                }
            ],
        },
        newer_series={
            "name": "throughput",
            "resource_id": "vol-1",
            "resource_name": "data",
            # Of 2^20 bytes each.
            "points": {(MINUTE - 60) * 1000: 2.097152, MINUTE * 1000: 3.145728},
        },
    )
