"""`python3 -m delfin_plugin.test FOLDER`"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from .. import manifest
from . import driver_suite, suite


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m delfin_plugin.test",
        description="Checks a plugin as delfin-host calls it. The settings of its exporters and the "
        "options of its drivers are those of its example.toml.",
    )
    parser.add_argument("folder", type=Path, help="the folder with plugin.toml")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        type=_setting,
        action="append",
        default=[],
        help="change a setting or an option; the value is JSON or a text",
    )
    arguments = parser.parse_args()
    changed: Dict[str, Any] = dict(arguments.set)
    try:
        plugin = manifest.read(arguments.folder)
    except manifest.ManifestError as error:
        print(error, file=sys.stderr)
        return 2
    results = [
        suite.run(plugin, lambda exporter: {**plugin.settings[exporter], **changed}, _report),
        driver_suite.run(plugin, lambda driver: {**plugin.options[driver], **changed}, _report),
    ]
    passed = all(results)
    print("passed" if passed else "failed")
    return 0 if passed else 1


def _setting(text: str) -> Tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _report(name: str, check: str, why: Optional[str]) -> None:
    promise = check.replace("_", " ")
    print(f"{name}: {promise}: {'ok' if why is None else why}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
