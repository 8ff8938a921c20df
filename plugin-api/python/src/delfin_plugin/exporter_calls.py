"""The calls to an exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type

from . import logs, settings
from .batch import Batch
from .call import Call, Part
from .calls import Answer, Calls, Count, Received
from .exporter import Exporter, Host
from .frames import FrameError, Message, map_shared
from .outcome import Crashed, Failure, Misconfigured, Outcome, Retry


class ExporterCalls(Calls):
    NAMES = ("check", "create", "export", "flush", "health", "tick", "close")

    def __init__(self, offered: Sequence[Type[Exporter[Any]]], count: Count) -> None:
        self._offered = {exporter.NAME: exporter for exporter in offered}
        self._exporter: Optional[Exporter[Any]] = None
        self._count = count

    @property
    def has_instance(self) -> bool:
        return self._exporter is not None

    def call(self, received: Received) -> Answer:
        name = received.name
        if "level" in received.message and name != "create":
            logs.set_level(received.message["level"])
        if name == "check":
            outcome = self._check(received.message)[2]
        elif name == "create":
            outcome = self._create(received.message)
        elif name == "export":
            outcome = self._export(received)
        else:
            outcome = getattr(self._instance(), name)(received.context())
        if outcome is not None and not isinstance(outcome, Failure):
            return Crashed(f"`{name}` returned {outcome!r}, not None or a Failure")
        return outcome

    def _check(self, message: Message) -> Tuple[Optional[Type[Exporter[Any]]], Any, Outcome]:
        """The class of an exporter and its settings, or why they are wrong."""
        exporter = self._offered.get(message["exporter"])
        if exporter is None:
            offered = ", ".join(f"`{name}`" for name in self._offered)
            failure = Misconfigured(
                f"the program does not offer the exporter `{message['exporter']}` "
                f"(it offers {offered}; correct `plugin.toml`)"
            )
            return None, None, failure
        try:
            return exporter, settings.read(exporter.SETTINGS, message["config"]), None
        except settings.SettingsError as error:
            return None, None, Misconfigured(error)

    def _create(self, message: Message) -> Outcome:
        logs.set_level(message["level"])
        exporter, values, failure = self._check(message)
        if exporter is None:
            return failure
        host = Host(
            name=message["name"],
            state_dir=Path(message["state_dir"]),
            instance=message.get("instance", 0),
            count=self._count,
        )
        self._exporter = exporter(values, host)
        return None

    def _export(self, received: Received) -> Outcome:
        exporter = self._instance()
        try:
            batch = _batch(exporter.BATCH, received)
        except (FrameError, OSError, ValueError) as error:
            return Retry(f"cannot read the rows: {error}")
        outcome: Outcome = exporter.export(batch)
        return outcome

    def _instance(self) -> Exporter[Any]:
        if self._exporter is None:
            raise RuntimeError("there is no instance")
        return self._exporter


def _batch(batch: Type[Batch], received: Received) -> Batch:
    message, frame = received.message, received.frame
    payload = frame.payload
    if "shared" in message:
        if frame.descriptor is None:
            raise FrameError("the descriptor of a shared payload is missing")
        payload = map_shared(frame.descriptor, message["shared"]["len"])
    rows = message.get("rows")
    call = Call(
        seconds=received.seconds(),
        attempt=message.get("attempt", 1),
        origin=message.get("origin", ""),
        parts=_parts(message.get("parts", [])),
        cancelled=received.cancelled,
    )
    return batch(payload, call, (rows[0], rows[1]) if rows else None)


def _parts(parts: List[Dict[str, Any]]) -> List[Part]:
    return [
        Part(
            batch_id=part["batch_id"],
            first_row=part["first_row"],
            rows=part["rows"],
            accepted_ms=part["accepted_ms"],
            storage_id=part.get("storage_id"),
            complete=part.get("complete", False),
        )
        for part in parts
    ]
