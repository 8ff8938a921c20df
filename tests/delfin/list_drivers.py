"""Loads each driver of the installed Delfin, or with `all` each driver that the plugin knows, and prints what it measures."""

from __future__ import annotations

import importlib.metadata
import sys
import types

sys.path.insert(0, sys.argv[1])

from adapter import loading  # noqa: E402

loading.prepare()
installed = importlib.metadata.distribution("delfin").entry_points
names = [tuple(point.name.split()) for point in installed if point.group == loading.GROUP]
for vendor, model in loading.CLASSES if "all" in sys.argv else names:
    driver = loading.load(vendor, model)
    context = types.SimpleNamespace(storage_id="1")
    found = driver.get_capabilities(context, {"firmware_version": "9.9"}) or {}
    kinds = sorted(found.get("resource_metrics", {}).items())
    print(f"{vendor} {model}: {', '.join(f'{kind} {len(metrics)}' for kind, metrics in kinds) or 'nothing'}")
