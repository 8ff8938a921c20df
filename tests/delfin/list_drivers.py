"""Loads each driver of the installed Delfin, and prints what it measures."""

from __future__ import annotations

import importlib.metadata
import sys
import types

sys.path.insert(0, sys.argv[1])

from adapter import loading  # noqa: E402

loading.prepare()
for point in importlib.metadata.distribution("delfin").entry_points:
    if point.group == loading.GROUP:
        driver = loading.load(*point.name.split())
        context = types.SimpleNamespace(storage_id="1")
        found = driver.get_capabilities(context, {"firmware_version": "9.9"}) or {}
        kinds = sorted(found.get("resource_metrics", {}).items())
        print(f"{point.name}: {', '.join(f'{kind} {len(metrics)}' for kind, metrics in kinds) or 'nothing'}")
