"""The folder of a plugin: `plugin.toml`, and `example.toml` with its settings."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence


class ManifestError(Exception):
    """The folder is not a plugin."""


class ManifestExporter(NamedTuple):
    name: str
    kind: str


class ManifestDriver(NamedTuple):
    vendor: str
    model: str


class Manifest(NamedTuple):
    folder: Path
    command: List[str]
    #: `socket` or `stdio`.
    transport: str
    exporters: List[ManifestExporter]
    #: The settings of each exporter in `example.toml`.
    settings: Dict[str, Dict[str, Any]]
    drivers: Sequence[ManifestDriver] = ()
    #: The options of a storage of each driver in `example.toml`.
    options: Mapping[ManifestDriver, Dict[str, Any]] = {}


#: The keys that this version of the kit knows. A host ignores others, with a warning.
_KEYS = {"name", "version", "vendor", "license", "command", "transport", "exporters", "drivers"}
_EXPORTER_KEYS = {
    "name",
    "kind",
    "description",
    "exclusive",
    "unique_settings",
    "max_points",
    "resend_seconds",
}
_DRIVER_KEYS = {"vendor", "model", "title", "access", "interval_seconds", "timeout_seconds"}


def read(folder: Path) -> Manifest:
    """Reads the manifest of a plugin."""
    table = _toml(folder / "plugin.toml")
    _refuse_unknown(folder / "plugin.toml", table)
    try:
        rows = table.get("exporters", [])
        exporters = [ManifestExporter(row["name"], row["kind"]) for row in rows]
        rows = table.get("drivers", [])
        drivers = [ManifestDriver(row["vendor"], row["model"]) for row in rows]
        command = [str(word) for word in table["command"]]
    except (KeyError, TypeError) as error:
        raise ManifestError(f"`{folder / 'plugin.toml'}` has no {error}") from None
    if not exporters and not drivers:
        raise ManifestError(f"`{folder / 'plugin.toml'}` has neither exporters nor drivers")
    example = folder / "example.toml"
    examples = _toml(example) if example.exists() else {}
    settings = {
        exporter.name: settings_of(exporter.name, examples.get("exporter", {}))
        for exporter in exporters
    }
    options = {driver: _options_of(driver, examples.get("storage", [])) for driver in drivers}
    transport = table.get("transport", "socket")
    return Manifest(folder, command, transport, exporters, settings, drivers, options)


def settings_of(exporter: str, examples: Dict[str, Any]) -> Dict[str, Any]:
    """The table `config` of the first example of an exporter."""
    for name, table in examples.items():
        if table.get("plugin", name) == exporter:
            return dict(table.get("config", {}))
    return {}


def _refuse_unknown(path: Path, table: Dict[str, Any]) -> None:
    unknown = [key for key in table if key not in _KEYS]
    for name, known in (("exporters", _EXPORTER_KEYS), ("drivers", _DRIVER_KEYS)):
        for row in table.get(name, []):
            unknown += [f"{name}.{key}" for key in row if key not in known]
    if unknown:
        names = "`, `".join(unknown)
        raise ManifestError(f"`{path}` has unknown keys: `{names}` (correct them)")


def _options_of(driver: ManifestDriver, examples: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The `options` of the first example of a storage of a driver."""
    for table in examples:
        if (table.get("vendor"), table.get("model")) == driver:
            return dict(table.get("options", {}))
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
