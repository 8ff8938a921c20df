"""What a batch of 474,435 points costs an exporter in Python, through the protocol.

A call is measured from its message to its outcome, without writing the payload. Fails if an
exporter that only counts takes longer than its budget.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import List

from delfin_plugin import sample
from delfin_plugin.frames import share
from delfin_plugin.manifest import Manifest
from delfin_plugin.test.host import Process
from delfin_plugin.test.suite import expect_delivered

FOLDER = Path(__file__).parent / "count.plugin"
SERIES, POINTS = 31_629, 15
BUDGET_MS = 30.0
ROUNDS = 25


def measure(exporter: str, transport: str) -> float:
    """The median of the calls, in milliseconds."""
    batch = sample.performance(SERIES, POINTS)
    command = [sys.executable, "exporter.py"]
    manifest = Manifest(FOLDER, command, transport, [], {})
    payload = share(batch.payload)
    taken: List[float] = []
    with Process(manifest) as process:
        expect_delivered("create", process.create(exporter, {}))
        for _ in range(ROUNDS):
            start = time.perf_counter()
            if transport == "stdio":
                outcome = process.export(batch)
            else:
                outcome = process.export_shared(batch, payload)
            taken.append((time.perf_counter() - start) * 1000)
            expect_delivered(exporter, outcome)
    os.close(payload)
    return statistics.median(taken)


def main() -> int:
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")
    print(f"{SERIES * POINTS} points in {SERIES} series, median of {ROUNDS} calls")
    counted = measure("PerformanceExporterCount", "socket")
    print(f"  count, shared payload      {counted:8.2f} ms   budget {BUDGET_MS} ms")
    for exporter, transport, text in (
        ("PerformanceExporterCount", "stdio", "count, inline payload"),
        ("PerformanceExporterColumns", "socket", "read columns"),
        ("PerformanceExporterRows", "socket", "loop over rows and points"),
    ):
        print(f"  {text:25}  {measure(exporter, transport):8.2f} ms")
    return 0 if counted <= BUDGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
