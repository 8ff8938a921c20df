"""How long the process of a driver takes until it is open, and how much memory it then uses."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Tuple

from delfin_plugin.manifest import Manifest
from delfin_plugin.test.host import Process

FOLDER = Path(__file__).parents[1] / "examples/array.plugin"
ROUNDS = 10

#: At most a second, and 60 MB with the library of a vendor.
BUDGET_SECONDS = 1.0
BUDGET_MB = 60.0


def measure(file: Path) -> Tuple[float, float, float]:
    """Seconds until the driver is open, and resident and private memory in MB."""
    start = time.monotonic()
    with Process(Manifest(FOLDER, [sys.executable, "-B", "driver.py"], "socket", [], {})) as process:
        options = {"extra_attributes": {"file": str(file)}}
        outcome = process.open_driver("example", "array_python", options)
        assert outcome.kind == "delivered", outcome
        seconds = time.monotonic() - start
        process.call("identify")
        process.call("collect", start_ms=0, end_ms=1)
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        sizes = {line.split(":")[0]: line.split()[1] for line in rollup.splitlines()[1:]}
        private = int(sizes["Private_Clean"]) + int(sizes["Private_Dirty"])
        return seconds, int(sizes["Rss"]) * 1024 / 1e6, private * 1024 / 1e6


def main() -> None:
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "array.json"
        content = {"name": "a", "serial_number": "1", "volumes": [], "alerts": []}
        file.write_text(json.dumps(content))
        rounds = [measure(file) for _ in range(ROUNDS)]
    seconds, resident, private = (statistics.median(column) for column in zip(*rounds))
    print(f"driver process: open after {seconds:.2f} s (budget {BUDGET_SECONDS} s), ", end="")
    print(f"resident {resident:.0f} MB (budget {BUDGET_MB:.0f} MB), private {private:.0f} MB")


if __name__ == "__main__":
    main()
