"""The folder of a plugin: `plugin.toml`, and `example.toml` with its settings."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple


class ManifestError(Exception):
    """The folder is not a plugin."""


class ManifestExporter(NamedTuple):
    name: str
    kind: str


class Manifest(NamedTuple):
    folder: Path
    command: List[str]
    #: `socket` or `stdio`.
    transport: str
    exporters: List[ManifestExporter]
    #: The settings of each exporter in `example.toml`.
    settings: Dict[str, Dict[str, Any]]


def read(folder: Path) -> Manifest:
    """Reads the manifest of a plugin."""
    table = _toml(folder / "plugin.toml")
    try:
        exporters = [ManifestExporter(row["name"], row["kind"]) for row in table["exporters"]]
        command = [str(word) for word in table["command"]]
    except (KeyError, TypeError) as error:
        raise ManifestError(f"`{folder / 'plugin.toml'}` has no {error}") from None
    example = folder / "example.toml"
    examples = _toml(example).get("exporter", {}) if example.exists() else {}
    settings = {
        exporter.name: settings_of(exporter.name, examples) for exporter in exporters
    }
    return Manifest(folder, command, table.get("transport", "socket"), exporters, settings)


def settings_of(exporter: str, examples: Dict[str, Any]) -> Dict[str, Any]:
    """The table `config` of the first example of an exporter."""
    for name, table in examples.items():
        if table.get("plugin", name) == exporter:
            return dict(table.get("config", {}))
    return {}


def _toml(path: Path) -> Dict[str, Any]:
    module = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        toml = importlib.import_module(module)
    except ImportError:
        raise ManifestError(
            "cannot read TOML (use Python 3.11 or newer, or install the package `tomli`)"
        ) from None
    try:
        table: Dict[str, Any] = toml.loads(path.read_text("utf-8"))
        return table
    except OSError as error:
        raise ManifestError(f"cannot read `{path}`: {error.strerror}") from None
    except ValueError as error:
        raise ManifestError(f"`{path}` is not valid TOML: {error}") from None
