"""Settings of an exporter, declared as a dataclass, from `[exporter.NAME.config]`.

Promises: all mistakes are reported at once, each with its key, its value and a remedy; the value
of a secret is in no mistake; a wrong value is never replaced by a default.
"""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Literal,
    Optional,
    Type,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

S = TypeVar("S")

_DURATION = "write `5m`, `90s` or `1h30m`, more than 0"
_TEXT = "write a text in quotes that is not empty"
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class SettingsError(ValueError):
    """The mistakes in the settings of an exporter, separated by `; `."""


class Secret:
    """A text that is never shown: its form in texts is `***`."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Do not log it or put it into an error."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


def setting(
    default: Any = dataclasses.MISSING,
    *,
    remedy: str = "",
    check: Optional[Callable[[Any], bool]] = None,
) -> Any:
    """A field of the settings. A field `class_` is the setting `class`.

    `default` can be a value or a function without parameters. Without it, the setting is
    required. `check` returns whether a value is right. `remedy` tells what would be right, as in
    "write a number from 1 to 100".
    """
    metadata = {"remedy": remedy, "check": check}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def read(declared: Type[S], table: Dict[str, Any]) -> S:
    """Reads the settings. The error contains every mistake."""
    mistakes: List[str] = []
    settings = _table(declared, table, "", mistakes)
    if settings is None or mistakes:
        raise SettingsError("; ".join(mistakes))
    return settings


class _Wrong(Exception):
    """A value is wrong. The text is the remedy."""


def _table(declared: Type[S], table: Dict[str, Any], prefix: str, mistakes: List[str]) -> Optional[S]:
    if not dataclasses.is_dataclass(declared):
        raise TypeError(f"{declared.__name__} is not a dataclass")
    hints = get_type_hints(declared)
    # The setting of a field `class_` is `class`.
    fields = {field.name.rstrip("_"): field for field in dataclasses.fields(declared)}
    before = len(mistakes)
    for key in table:
        if key not in fields:
            known = ", ".join(f"`{name}`" for name in fields) or "none"
            mistakes.append(f"`{prefix}{key}` is not a setting (known settings: {known})")
    values = {}
    for name, field in fields.items():
        remedy = field.metadata.get("remedy") or ""
        if name in table:
            value = _value(hints[field.name], table[name], prefix + name, mistakes, field.metadata)
            values[field.name] = value
        elif field.default is field.default_factory is dataclasses.MISSING:
            remedy = remedy or _remedy(hints[field.name])
            mistakes.append(f"`{prefix}{name}` is missing ({remedy})")
    if len(mistakes) > before:
        return None
    try:
        return declared(**values)
    except ValueError as error:
        mistakes.append(str(error))
        return None


def _value(hint: Any, value: Any, key: str, mistakes: List[str], metadata: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _table(hint, value, f"{key}.", mistakes)
    check = metadata.get("check")
    try:
        result = _convert(hint, value)
        if check is not None and not check(result):
            raise _Wrong
        return result
    except _Wrong:
        remedy = metadata.get("remedy") or _remedy(hint)
    if _has_secret(hint):
        mistakes.append(f"`{key}` has a wrong value ({remedy})")
    else:
        mistakes.append(f"`{key}` cannot be `{json.dumps(value)}` ({remedy})")
    return None


def _convert(hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Union:
        return _convert(next(one for one in arguments if one is not type(None)), value)
    if origin is Literal:
        return _expect(value in arguments and not isinstance(value, bool), value)
    if origin is list:
        _expect(isinstance(value, list), value)
        return [_convert(arguments[0], item) for item in value]
    if origin is dict:
        _expect(isinstance(value, dict), value)
        return {name: _convert(arguments[1], item) for name, item in value.items()}
    if dataclasses.is_dataclass(hint):
        # It is not a table: see `_value`.
        raise _Wrong
    try:
        return _PLAIN[hint][0](value)
    except KeyError:
        raise TypeError(f"a setting cannot have the type {hint}") from None


def _expect(is_right: bool, value: Any) -> Any:
    if not is_right:
        raise _Wrong
    return value


def _text(value: Any) -> str:
    return str(_expect(isinstance(value, str) and value != "", value))


def _whole(value: Any) -> int:
    return int(_expect(isinstance(value, int) and not isinstance(value, bool), value))


def _number(value: Any) -> float:
    return float(_expect(isinstance(value, (int, float)) and not isinstance(value, bool), value))


def _flag(value: Any) -> bool:
    return bool(_expect(isinstance(value, bool), value))


def _duration(value: Any) -> timedelta:
    parts = re.findall(r"(\d+)\s*(ms|s|m|h|d)\s*", value) if isinstance(value, str) else []
    is_whole = isinstance(value, str) and re.fullmatch(r"\s*(\d+\s*(ms|s|m|h|d)\s*)+", value)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    _expect(bool(is_whole) and 0 < seconds < 1e9, value)
    return timedelta(seconds=seconds)


_PLAIN: Dict[Any, Any] = {
    str: (_text, _TEXT),
    Path: (lambda value: Path(_text(value)), _TEXT),
    Secret: (lambda value: Secret(_text(value)), _TEXT),
    int: (_whole, "write a whole number"),
    float: (_number, "write a number"),
    bool: (_flag, "write true or false"),
    timedelta: (_duration, _DURATION),
}


def _remedy(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Union:
        return _remedy(next(one for one in arguments if one is not type(None)))
    if origin is Literal:
        return "write one of " + ", ".join(f"`{word}`" for word in arguments)
    if origin is list:
        return "write a list in `[` and `]`: for each item, " + _remedy(arguments[0])
    if origin is dict or dataclasses.is_dataclass(hint):
        return "write a table"
    return str(_PLAIN[hint][1]) if hint in _PLAIN else "write another value"


def _has_secret(hint: Any) -> bool:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return any(_has_secret(inner) for inner in get_type_hints(hint).values())
    return hint is Secret or any(_has_secret(inner) for inner in get_args(hint))
