"""Alerts of drivers in the alert model of Delfin, which the drivers do not always follow.

A value outside the model stays visible: it is an additional field `device_…`.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Optional, Tuple

from delfin_plugin import AlertBuilder, Window

from . import times

_SEVERITIES = ("Fatal", "Critical", "Major", "Minor", "Warning", "Informational", "NotSpecified")
_CATEGORIES = ("Fault", "Event", "Recovery", "NotSpecified")
_TYPES = (
    "CommunicationsAlarm",
    "EquipmentAlarm",
    "ProcessingErrorAlarm",
    "QualityOfServiceAlarm",
    "EnvironmentalAlarm",
    "IntegrityViolation",
    "OperationalViolation",
    "PhysicalViolation",
    "SecurityServiceOrMechanismViolation",
    "TimeDomainViolation",
    "NotSpecified",
)
#: The words of arrays that a driver passed on.
_SEVERITY_WORDS = {"error": "Major", "err": "Major", "info": "Informational", "information": "Informational"}

#: The columns of the storage, which the host fills.
_OF_STORAGE = ("storage_id", "storage_name", "vendor", "model", "serial_number")


def build(alerts: Iterable[Any], now_ms: int, window: Optional[Window] = None) -> AlertBuilder:
    """A batch of the alerts, or of those that occurred in a window."""
    builder = AlertBuilder()
    for alert in alerts:
        occur_time, fields = mend(alert, now_ms)
        if window is None or window.start_ms <= occur_time < window.end_ms:
            builder.add(occur_time, fields)
    return builder


def mend(alert: Dict[str, Any], now_ms: int) -> Tuple[int, Dict[str, str]]:
    """The time of an alert, and its other fields."""
    given = {str(name): _text(value) for name, value in alert.items() if name not in _OF_STORAGE}
    fields = {name: text for name, text in given.items() if text is not None}
    shown = fields.pop("occur_time", None)
    occur_time = times.plausible(shown, now_ms)
    if occur_time is None:
        occur_time = now_ms
        if shown is not None:
            fields["device_time"] = shown
    _in_model(fields, "severity", _SEVERITIES, _SEVERITY_WORDS, "NotSpecified")
    _in_model(fields, "category", _CATEGORIES, {}, "Fault")
    _in_model(fields, "type", _TYPES, {}, "NotSpecified")
    if "alert_id" not in fields and "alert_name" not in fields:
        fields["alert_name"] = fields.get("description") or fields.get("match_key") or "unnamed"
    if "sequence_number" not in fields:
        # The same alert has the same number in each list.
        fields["sequence_number"] = fields.get("alert_id") or fields.get("match_key") or fields["alert_name"]
    return occur_time, fields


def _in_model(fields: Dict[str, str], name: str, words: Iterable[str], known: Dict[str, str], other: str) -> None:
    word = fields.get(name)
    if word is None:
        fields[name] = other
        return
    by_lower = {**{one.lower(): one for one in words}, **known}
    fields[name] = by_lower.get(word.lower(), other)
    if word.lower() != fields[name].lower():
        fields[f"device_{name}"] = word


def _text(value: Any) -> Optional[str]:
    text = "" if value is None else str(value)
    # Drivers format values that are not there.
    return None if text.strip() in ("", "None") else text
