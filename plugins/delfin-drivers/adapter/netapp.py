"""Versions of ONTAP, which Delfin's driver compares as numbers: to it, 9.10 is older than 9.6."""

from __future__ import annotations

import re
import sys
from typing import Any

#: The newest version that the driver knows.
_NEWEST = (9, 9)


def clamp(text: str) -> str:
    """The version in a text, at most the newest that the driver knows: `9.10.1P3` is 9.9."""
    found = re.search(r"(\d+)\.(\d+)", text)
    version = (int(found[1]), int(found[2])) if found else (9, 0)
    major, minor = min(version, _NEWEST)
    return f"{major}.{minor}"


def mend() -> None:
    """Makes the driver read versions in this way, if it is imported: its login asks over REST from 9.6 on."""
    handler = sys.modules.get("delfin.drivers.netapp.dataontap.netapp_handler")
    if handler is None:
        return
    command = handler.constant.VERSION_SHOW_COMMAND

    def get_storage_version(self: Any) -> float:
        lines = (self.ssh_pool.do_exec(command) or "").splitlines()
        release = [line.split(":")[0] for line in lines if "NetApp" in line]
        return float(clamp(release[0] if release else ""))

    handler.NetAppHandler.get_storage_version = get_storage_version
