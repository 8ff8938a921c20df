"""The conformance suite of executable plugins, in any language.

    python3 -m delfin_plugin.test acme.plugin

or in a test:

    delfin_plugin.test.conformance(Path("acme.plugin"), {"url": receiver.url})
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from .. import manifest
from . import driver_suite, suite


def conformance(folder: Path, settings: Optional[Dict[str, Any]] = None) -> None:
    """Runs every check, with these settings in addition to those of `example.toml`.

    The settings of a driver are the options of a storage: `rest`, `ssh`, `extra_attributes`.

    `AssertionError` names the checks that have failed.
    """
    plugin = manifest.read(folder)
    failures: List[str] = []

    def report(name: str, check: str, why: Optional[str]) -> None:
        if why is not None:
            failures.append(f"{name}: {check}: {why}")

    given = settings or {}
    suite.run(plugin, lambda exporter: {**plugin.settings[exporter], **given}, report)
    driver_suite.run(plugin, lambda driver: {**plugin.options[driver], **given}, report)
    if failures:
        raise AssertionError("\n".join(failures))
