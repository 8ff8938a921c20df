"""Shows what waits in a spool: `python -m delfin_host_exporter FOLDER`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from .spool import Spool


def main() -> None:
    """Prints a line for each kind, and its counters."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m delfin_host_exporter FOLDER   (`spool_dir` in delfin.conf)")
    files = sorted(Path(sys.argv[1]).glob("*.db"))
    if not files:
        sys.exit(f"`{sys.argv[1]}` is no spool (write the `spool_dir` of delfin.conf)")
    for file in files:
        spool = Spool(file.parent, file.stem, 0, False)
        status = spool.status()
        age = f", the oldest for {time.time() - status.oldest_ms / 1000:.0f} s" if status.oldest_ms else ""
        print(f"{file.stem}: {status.batches} batches with {status.items} items wait, {status.bytes} bytes{age}")
        for name, items in spool.counts().items():
            print(f"  {name} {items}")


if __name__ == "__main__":
    main()
