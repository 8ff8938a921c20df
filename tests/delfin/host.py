"""A real delfin-host for a test: the debug binary, in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

ROOT = Path(__file__).resolve().parents[2]
DEBUG = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"

#: How long a test waits for what must happen, in seconds.
PATIENCE = 120.0


def wait_for(what: str, found: Callable[[], Any]) -> Any:
    """The first true result of `found`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"gave up waiting for {what}")


class Host:
    """A folder with a configuration, plugins and state, and the process that runs in it.

    `@` in the configuration is the folder. The file exporters write `performance.jsonl` and `alerts.jsonl`.
    """

    CONFIG = """
performance_exporters = ["PerformanceExporterFile"]
alert_exporters = ["AlertExporterFile"]
[exporter.PerformanceExporterFile.config]
path = "@/performance.jsonl"
[exporter.AlertExporterFile.config]
path = "@/alerts.jsonl"
"""

    def __init__(self, config: str = CONFIG, plugins: Optional[List[Path]] = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="delfin-host-"))
        folder = self.folder / "plugins"
        folder.mkdir(mode=0o755)
        library = folder / "libdelfin_exporter_file.so"
        shutil.copyfile(DEBUG / library.name, library)
        library.chmod(0o644)
        for plugin in plugins or []:
            install(plugin, folder)
        self.port = 0
        self._config = config
        self._process: Optional[subprocess.Popen[str]] = None
        self._log: List[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, env: Optional[Dict[str, str]] = None) -> None:
        """Starts the host, at the same port as before, and waits until it listens."""
        head = 'plugin_dirs = ["@/plugins"]\nstate_dir = "@/state"\n'
        tail = f'[api]\nlisten = "127.0.0.1:{self.port}"\n[journal]\nmin_free_bytes = 0\n'
        text = (head + self._config + tail).replace("@", str(self.folder))
        config = self.folder / "delfin.conf"
        config.write_text(text)
        config.chmod(0o600)
        command = [str(DEBUG / "delfin-host"), "run", "--config", str(config)]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env={**os.environ, **(env or {})}
        )
        self._process = process
        self._log.clear()
        threading.Thread(target=self._collect, args=(process,), daemon=True).start()

        def address() -> Optional[str]:
            if process.poll() is not None:
                raise AssertionError(f"the host ended:\n{self.log()}")
            lines = [line for line in list(self._log) if "the API listens" in line]
            return lines[0].split("address=")[1].split()[0] if lines else None

        self.port = int(wait_for("the host to listen", address).rsplit(":", 1)[1])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the host, if it runs."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        """Ends the host and removes its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return "".join(list(self._log))

    def _collect(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self._log.append(line)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer of the API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text else None

    def exporter(self, name: str) -> Dict[str, Any]:
        """An exporter as `/v1/exporters` shows it."""
        found = [one for one in self.call("GET", "/v1/exporters")["exporters"] if one["name"] == name]
        return dict(found[0])

    def delivered(self, name: str, items: int) -> None:
        """Waits until an exporter has delivered this many items, also before a restart of the host."""
        wait_for(f"{name} to deliver {items} items", lambda: self.exporter(name)["delivered"] >= items)

    def lines(self, name: str) -> List[Any]:
        """The lines that the file exporter has written whole."""
        file = self.folder / name
        text = file.read_text() if file.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]


def install(plugin: Path, folder: Path, venv: Optional[Path] = ROOT / "target" / "delfin") -> Path:
    """Installs a plugin that is a program, as `make build` does."""
    command = [str(ROOT / "scripts" / "program-plugin"), str(plugin), str(folder), str(venv or "")]
    subprocess.run(command, check=True)
    return folder / f"{plugin.name}.plugin"
