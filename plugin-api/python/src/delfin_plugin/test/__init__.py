"""The conformance suite of executable plugins, in any language.

    python3 -m delfin_plugin.test acme.plugin

or in a test:

    delfin_plugin.test.conformance(Path("acme.plugin"), {"url": receiver.url})
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from .. import manifest
from .suite import run


def conformance(folder: Path, settings: Optional[Dict[str, Any]] = None) -> None:
    """Runs every check, with these settings in addition to those of `example.toml`.

    `AssertionError` names the checks that have failed.
    """
    plugin = manifest.read(folder)
    failures: List[str] = []

    def report(exporter: str, check: str, why: Optional[str]) -> None:
        if why is not None:
            failures.append(f"{exporter}: {check}: {why}")

    run(plugin, lambda exporter: {**plugin.settings[exporter], **(settings or {})}, report)
    if failures:
        raise AssertionError("\n".join(failures))
