"""What the arrays answer: one volume, one alert and a few points each."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional

from .https import Route
from .ssh import Text

NAME, PASSWORD = "monitor", "s3cret"

#: The last full minute of the points, in seconds since the Unix epoch.
MINUTE = 1_700_000_040


def clock(pattern: str, seconds: int) -> str:
    """A time in UTC."""
    return time.strftime(pattern, time.gmtime(seconds))


@dataclass
class Array:
    """An array: its answers, and what the host must have of it."""

    vendor: str
    model: str
    serial_number: str
    #: A trap, and the alert id in it.
    trap: Dict[str, str]
    trap_id: str
    #: The alert in its list: some columns.
    alert: Dict[str, str]
    routes: Dict[str, Route] = field(default_factory=dict)
    headers: Dict[str, str] = field(default_factory=dict)
    outputs: Dict[str, Text] = field(default_factory=dict)
    files: Dict[str, str] = field(default_factory=dict)
    #: A metric, the resource id, and its points.
    series: Optional[Dict[str, Any]] = None
    #: The same for the driver of Delfin 1.9, where the one of 1.5.0 measures nothing.
    newer_series: Optional[Dict[str, Any]] = None


def login(answer: Route, user: str = "username") -> Callable[[Any], Any]:
    """An answer only for the right name and password."""

    def check(body: Any) -> Any:
        given = (body.get(user), body.get("password"))
        return answer if given == (NAME, PASSWORD) else (400, {"msg": "invalid credentials"})

    return check


def pure() -> Array:
    def measured(minutes_ago: int, reads: int) -> Dict[str, Any]:
        return {
            "name": "vol-1",
            "time": clock("%Y-%m-%dT%H:%M:%SZ", MINUTE - 60 * minutes_ago),
            "reads_per_sec": reads,
            "writes_per_sec": 1,
            "output_per_sec": 3 << 20,
            "input_per_sec": 1 << 20,
            "usec_per_read_op": 500,
            "usec_per_write_op": 250,
        }

    api = "/api/1.17"
    monitor = "action=monitor&historical=1h"
    return Array(
        "pure",
        "flasharray",
        "pure-sn-1",
        trap={
            "1.3.6.1.2.1.1.3.0": "41",
            "1.3.6.1.4.1.40482.3.1": "array-1",
            "1.3.6.1.4.1.40482.3.3": "ct0",
            "1.3.6.1.4.1.40482.3.5": "ct0.fan",
            "1.3.6.1.4.1.40482.3.6": "the fan is slow",
            "1.3.6.1.4.1.40482.3.7": "1",
        },
        trap_id="41",
        alert={"alert_id": "17", "severity": "Warning", "location": "ct0.eth1", "sequence_number": "17"},
        routes={
            f"POST {api}/auth/apitoken": login({"api_token": "token"}),
            f"POST {api}/auth/session": {"username": NAME},
            f"DELETE {api}/auth/session": {"username": NAME},
            f"GET {api}/array?space=true": [{"total": 40, "capacity": 100}],
            f"GET {api}/array": {"array_name": "array-1", "id": "pure-sn-1", "version": "5.1"},
            f"GET {api}/array?controllers": [{"mode": "primary", "model": "FA-X", "status": "ready"}],
            f"GET {api}/drive": [],
            f"GET {api}/hardware": [],
            f"GET {api}/volume": [{"name": "vol-1", "size": 10, "volumes": 4, "thin_provisioning": 0.5}],
            f"GET {api}/array?{monitor}": [measured(1, 5), measured(0, 7)],
            f"GET {api}/volume?{monitor}": [measured(1, 5), measured(0, 7)],
            f"GET {api}/message": [
                {
                    "id": 17,
                    "opened": clock("%Y-%m-%dT%H:%M:%SZ", MINUTE),
                    "current_severity": "warning",
                    "component_type": "hardware",
                    "component_name": "ct0.eth1",
                    "event": "link is down",
                }
            ],
        },
        newer_series={
            "name": "throughput",
            "resource_id": "vol-1",
            "resource_name": "vol-1",
            # Of 2^20 bytes each.
            "points": {(MINUTE - 60) * 1000: 4.194304, MINUTE * 1000: 4.194304},
        },
    )


def unity() -> Array:
    def instances(*contents: Dict[str, Any]) -> Any:
        return {"entries": [{"content": content} for content in contents]}

    def first_page(*contents: Dict[str, Any]) -> Any:
        return lambda path: instances(*contents) if path.endswith("page=1") else instances()

    def measured(minutes_ago: int, of_each: str) -> Dict[str, Any]:
        timestamp = clock("%Y-%m-%dT%H:%M:%S.000Z", MINUTE - 60 * minutes_ago)
        return {"timestamp": timestamp, "values": {"spa": {"sv_1": of_each}, "spb": {"sv_1": "0"}}}

    def statistics(path: str) -> Any:
        # The newest first.
        points = (measured(0, "2000"), measured(1, "1000")) if "storage.lun" in path else ()
        return first_page(*points)(path)

    alert = {
        "id": "alert_9",
        "timestamp": clock("%Y-%m-%dT%H:%M:%S.000Z", MINUTE),
        "severity": 3,
        "component": {"id": "spa"},
        "messageId": "14:60f",
        "message": "the storage processor restarted",
        "description": "look at its log",
        "state": 0,
    }
    capacity = {"sizeFree": 60, "sizeTotal": 100, "sizeUsed": 40, "sizeSubscribed": 120}
    types = "GET /api/types"
    return Array(
        "dellemc",
        "unity",
        "unity-sn-1",
        trap={
            "1.3.6.1.6.3.1.1.4.1.0": "1.3.6.1.4.1.1139.103.1.18.2.3",
            "1.3.6.1.4.1.1139.103.1.18.1.1": "spa",
            "1.3.6.1.4.1.1139.103.1.18.1.3": "1:2",
            "1.3.6.1.4.1.1139.103.1.18.1.4": "a pool is full",
        },
        trap_id="1:2",
        alert={"alert_id": "14:60f", "severity": "Major", "location": "spa", "sequence_number": "alert_9"},
        headers={"EMC-CSRF-TOKEN": "token"},
        routes={
            f"{types}/loginSessionInfo": instances(),
            f"{types}/system/": instances(
                {"name": "unity-1", "model": "Unity 300", "serialNumber": "unity-sn-1", "health": {"value": 5}}
            ),
            f"{types}/systemCapacity": instances(capacity),
            f"{types}/installedSoftwareVersion": instances({"id": "5.0"}),
            f"{types}/disk": instances(),
            f"{types}/alert": first_page(alert),
            f"{types}/metricValue": statistics,
            f"{types}/lun": first_page(
                {
                    "id": "sv_1",
                    "name": "lun-1",
                    "type": 2,
                    "health": {"value": 5},
                    "pool": {"id": "pool_1"},
                    "sizeTotal": 10,
                    "sizeAllocated": 4,
                }
            ),
            "POST /api/types/loginSessionInfo/action/logout": {},
        },
        newer_series={
            "name": "readThroughput",
            "resource_id": "sv_1",
            "resource_name": "lun-1",
            # Of 1,000 bytes, which the driver calls megabytes.
            "points": {(MINUTE - 60) * 1000: 0.001, MINUTE * 1000: 0.002},
        },
    )


def oceanstor() -> Array:
    def data(*rows: Dict[str, Any]) -> Any:
        return {"error": {"code": 0}, "data": list(rows)}

    def statistics(path: Any) -> Any:
        ids = str(path).split("CMO_STATISTIC_DATA_ID_LIST=")[-1].split("&")[0].split(",")
        values = ",".join("7" for _ in ids)
        return data({"CMO_STATISTIC_TIMESTAMP": str(MINUTE), "CMO_STATISTIC_DATA_LIST": values})

    system = {
        "NAME": "OceanStor 5500",
        "ID": "huawei-sn-1",
        "RUNNINGSTATUS": "1",
        "SECTORSIZE": "512",
        "TOTALCAPACITY": "100",
        "USEDCAPACITY": "40",
        "userFreeCapacity": "60",
        "MEMBERDISKSCAPACITY": "200",
        "LOCATION": "",
    }
    session = {"deviceid": "dev", "iBaseToken": "token", "accountstate": 1}
    rest = "/deviceManager/rest"
    event = {
        "startTime": MINUTE,
        "eventID": 4711,
        "name": "a disk failed",
        "level": 5,
        "eventType": 1,
        "sequence": 12,
        "description": "disk 3",
        "suggestion": "replace it",
        "location": "enclosure 1",
    }
    oid = "1.3.6.1.4.1.2011.2.91.10.3.1.1"
    return Array(
        "huawei",
        "oceanstor",
        "huawei-sn-1",
        trap={
            f"{oid}.1.0": "Array",
            f"{oid}.2.0": "enclosure 1",
            f"{oid}.3.0": "replace it",
            f"{oid}.4.0": "a disk failed",
            f"{oid}.5.0": "2",
            f"{oid}.6.0": "2",
            f"{oid}.7.0": "4711",
            f"{oid}.8.0": clock("%Y-%m-%d,%H:%M:%S.0", MINUTE),
            f"{oid}.9.0": "12",
            f"{oid}.10.0": "disk 3",
            f"{oid}.11.0": "2",
        },
        trap_id="12",
        alert={"alert_id": "4711", "severity": "Major", "location": "enclosure 1", "sequence_number": "12"},
        series={"name": "iops", "resource_id": "lun-1", "resource_name": "vol-1", "points": {MINUTE * 1000: 7.0}},
        routes={
            f"POST {rest}/xx/sessions": login({"error": {"code": 0}, "data": session}),
            f"GET {rest}/dev/system/": {"error": {"code": 0}, "data": system},
            f"GET {rest}/dev/controller": data({"SOFTVER": "V5", "ID": "0A", "NAME": "A"}),
            f"GET {rest}/dev/lun": data({"ID": "lun-1", "NAME": "vol-1", "TYPE": 11}),
            f"GET {rest}/dev/performace_statistic": statistics,
            f"GET {rest}/dev/": data(),
            f"PUT {rest}/dev/": data(),
            f"POST {rest}/dev/": data(),
            f"GET {rest}/dev/alarm/currentalarm": data(event),
        },
    )


def storwize() -> Array:
    def dump(seconds: int, reads: int) -> str:
        return (
            "<diskStatsColl><vdsk idx='0' id='vol-1' rb='{0}' wb='0' ro='{0}' wo='0' xl='0' ctrhs='0' ctwhs='0' "
            "ctrs='0' ctws='0'/></diskStatsColl>".format(reads)
        )

    files = {
        f"Nv_stats_node_{clock('%y%m%d_%H%M%S', MINUTE - back)}": dump(MINUTE - back, reads)
        for back, reads in ((120, 0), (60, 600), (0, 1800))
    }
    listing = "id filename\n" + "".join(f"{number} {name}\n" for number, name in enumerate(files))
    return Array(
        "ibm",
        "storwize_svc",
        "svc-sn-1",
        trap={
            "1.3.6.1.4.1.2.6.190.4.3": "# Error ID = 981004 : a fibre channel login was lost",
            "1.3.6.1.4.1.2.6.190.4.9": "# Error Sequence Number = 31",
            "1.3.6.1.4.1.2.6.190.4.10": clock("# Timestamp = %a %b %d %H:%M:%S %Y", MINUTE),
            "1.3.6.1.4.1.2.6.190.4.11": "# Object Type = node",
            "1.3.6.1.4.1.2.6.190.4.17": "# Object Name = node1",
        },
        trap_id="981004",
        alert={"alert_id": "980221", "severity": "Major", "location": "node1", "sequence_number": "30"},
        series={
            "name": "readIops",
            "resource_id": "0",
            "resource_name": "vol-1",
            "points": {(MINUTE - 60) * 1000: 10.0, MINUTE * 1000: 20.0},
        },
        outputs={
            "lssystem": (
                "id svc-sn-1\nname svc-1\nlocation local\ntotal_free_space 60.0TB\ntotal_used_capacity 40.00TB\n"
                "total_mdisk_capacity 100.0TB\nvirtual_capacity 100.00TB\nstatistics_status on\n"
                "code_level 8.3.1 (build 1)\nproduct_name IBM Storwize V7000\n"
            ),
            "lseventlog -monitoring": "sequence_number last_timestamp\n30 201110165750\n",
            "lseventlog 30": (
                f"sequence_number 30\nlast_timestamp_epoch {MINUTE}\nobject_type node\nobject_name node1\n"
                "event_id 980221\nevent_id_text node restarted\nnotification_type error\n"
            ),
            "lsdumps": listing,
            "lsportfc": "",
        },
        files={f"/dumps/iostats/{name}": text for name, text in files.items()},
    )


def netapp() -> Array:
    def lines(*blocks: str) -> str:
        return "\r\n\r\n".join("\r\n".join(block.splitlines()) for block in blocks) + "\r\n"

    alert = (
        "Node: node1\nMonitor: node-connect\nAlert ID: DualPathAlert\nAlerting Resource: shelf 2\n"
        f"Indication Time: {clock('%a %b %d %H:%M:%S %Y', MINUTE)}\nPerceived Severity: Major\n"
        "Probable Cause: Connection_error\nDescription: one path to the shelf is lost\nPossible Effect: no access\n"
    )
    points = [
        {
            "timestamp": clock("%Y-%m-%dT%H:%M:%SZ", MINUTE - back),
            "iops": {"read": 5, "write": 5, "total": 10},
            "throughput": {"read": 1 << 20, "write": 1 << 20, "total": 1 << 21},
            "latency": {"total": 2000},
        }
        for back in (60, 0)
    ]
    return Array(
        "netapp",
        "cmode",
        "netapp-sn-1",
        trap={
            "1.3.6.1.4.1.789.1.1.12.0": "alert cleared [AlertId=DualPathAlert, AlertingResource=shelf 2]",
            "controller_name": "node1",
        },
        trap_id="DualPathAlert",
        alert={"alert_id": "DualPathAlert", "severity": "Major", "sequence_number": "DualPathAlert"},
        series={
            "name": "throughput",
            "resource_id": "netapp-sn-1",
            "resource_name": "cluster-1",
            # The driver counts 2^20 bytes as a megabyte.
            "points": {(MINUTE - 60) * 1000: 2.097152, MINUTE * 1000: 2.097152},
        },
        routes={"GET /api/cluster/metrics": {"records": points}, "GET /api/": {"records": []}},
        outputs={
            "cluster identity show": lines("Cluster UUID: 1-2\nCluster Name: cluster-1\nCluster Serial Number: netapp-sn-1"),
            "version": lines("NetApp Release 9.10.1P3: Tue Mar 08 08:43:39 UTC 2022"),
            "system health status show": lines("Status\n---------------\nok"),
            "node show -instance": lines("Warning: once", "Node: node1\nModel: FAS2750\nLocation: hall"),
            "disk show -instance": lines("There are no entries matching your query."),
            "storage aggregate show": lines(
                "Aggregate: aggr0\nUUID String: 7-8\nState: online\nSize: 100GB\nUsed Size: 40GB\nAvailable Size: 60GB"
            ),
            "disk": lines("There are no entries matching your query."),
            "storage": lines("There are no entries matching your query."),
            "lun show": lines("There are no entries matching your query."),
            "system health alert show": lines(alert),
        },
    )


def three_par() -> Array:
    system = {
        "name": "3par-1",
        "model": "HP_3PAR 7400",
        "serialNumber": "3par-sn-1",
        "systemVersion": "3.2",
        "location": None,
        "freeCapacityMiB": 60,
        "allocatedCapacityMiB": 40,
        "totalCapacityMiB": 100,
    }
    alert = (
        f"Id : 1\nState : New\nMessage Code : 0x2200de\nTime : {clock('%Y-%m-%d %H:%M:%S UTC', MINUTE)}\n"
        "Severity : Degraded\nType : Component state change\nMessage : battery 0 is degraded\nComponent: 127.0.0.1\n\n"
        "1 total\n"
    )

    def volume_statistics(command: str) -> str:
        # The last sample in the range, as the array gives it.
        end = int(command.split()[-1])
        at = min(end // 60 * 60, MINUTE)
        if at < MINUTE - 60:
            return ""
        kilobytes = 3000 if at == MINUTE else 2000
        return (
            f"Time: {clock('%Y-%m-%d %H:%M:%S UTC', at)} ({at})\n"
            "              ----IO/s----- ---KBytes/s--- ---Svct ms--- ---IOSz KB---\n"
            "VVID VV_NAME   Rd  Wr  Tot  Rd   Wr   Tot  Rd  Wr  Tot  Rd  Wr  Tot QLen AvgBusy%\n"
            f"   7 vv-1     1.0 2.0  3.0 0.0  0.0 {kilobytes}.0 0.5 0.5  0.5 8.0 8.0  8.0    0      0.1\n"
            "-------------------------------------------------------------------------------\n"
        )

    oid = "1.3.6.1.4.1.12925.1.7.1"
    return Array(
        "hpe",
        "3par",
        "3par-sn-1",
        trap={
            f"{oid}.8.1": "2228446",
            f"{oid}.2.1": "3",
            f"{oid}.9.1": "5",
            f"{oid}.7.1": "1",
            # The driver cannot read this time, and returns an empty one.
            f"{oid}.3.1": "just now",
            f"{oid}.6.1": "battery 0 is good again",
            f"{oid}.5.1": "127.0.0.1",
        },
        trap_id="0x02200de",
        alert={"alert_id": "0x2200de", "severity": "Warning", "location": "127.0.0.1", "sequence_number": "1"},
        routes={
            "POST /api/v1/credentials": login((201, {"key": "token"}), "user"),
            "DELETE /api/v1/credentials": {},
            "GET /api/v1/system": system,
            "GET /api/v1/cpgs": {"members": []},
            "GET /api/v1/systemreporter/attime/cpgstatistics": {},
        },
        outputs={
            "showwsapi": "-Service- -State- -HTTP_State- HTTP_Port -HTTPS_State- HTTPS_Port -Version-\n"
            "Enabled Active Disabled 8008 Enabled 8080 1.5\n",
            "checkhealth": "System is healthy\n",
            "showalert": alert,
            "srstatvv": volume_statistics,
            "srstatport": "",
            "srstatpd": "",
        },
        newer_series={
            "name": "throughput",
            "resource_id": "7",
            "resource_name": "7",
            # Of 1,000 kilobytes.
            "points": {(MINUTE - 60) * 1000: 2.0, MINUTE * 1000: 3.0},
        },
    )


ARRAYS = (pure, unity, oceanstor, storwize, netapp, three_par)
