"""Keeps large libraries out of the memory of a process: those that modules of Delfin import and its driver does not use."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import types
from typing import Any

#: A driver without SSH needs no paramiko, which alone needs 12 MB. The others are for functions that no driver calls.
_LAZY = ("paramiko", "asyncio", "psutil", "charset_normalizer")


class LazyModule(types.ModuleType):
    """In place of a module that is imported when something of it is used."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute in ("__spec__", "__file__"):
            # What the statement `import` and loggers look at.
            raise AttributeError(attribute)
        name = self.__name__
        if sys.modules.get(name) is self:
            del sys.modules[name]
        module = importlib.import_module(name)
        self.__dict__.update(vars(module))
        return getattr(module, attribute)


def leave_out() -> None:
    """Call it before the first import of a module of Delfin."""
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"
    # Delfin's constants name protocols of pysnmp.
    for name in ("pysnmp", "pysnmp.entity", "pysnmp.entity.config"):
        _replace(name)
    sys.modules["pysnmp.entity"].config = sys.modules["pysnmp.entity.config"]  # type: ignore[attr-defined]
    # Delfin's exceptions know statuses of HTTP, for its API.
    for name in ("webob", "webob.exc", "webob.util"):
        _replace(name)
    sys.modules["webob"].exc = sys.modules["webob.exc"]  # type: ignore[attr-defined]
    sys.modules["webob.exc"].WSGIHTTPException = Exception  # type: ignore[attr-defined]
    for name in _LAZY:
        if name not in sys.modules:
            sys.modules[name] = _lazy(name)
    # paramiko imports it for a directive of OpenSSH's configuration, which no driver reads.
    sys.modules["invoke"] = None  # type: ignore[assignment]


def import_without_openssl() -> None:
    """Imports the modules that name OpenSSL for functions that no driver calls."""
    for name in ("OpenSSL", "OpenSSL.crypto"):
        _replace(name)
    import delfin.ssl_utils
    import eventlet.greenio  # type: ignore[import-untyped]  # noqa: F401

    # A driver that imports it itself gets it.
    for name in ("OpenSSL", "OpenSSL.crypto"):
        del sys.modules[name]


def _lazy(name: str) -> LazyModule:
    module = LazyModule(name)
    del module.__spec__
    if name == "charset_normalizer":
        # `requests` looks at it when it is imported.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            module.__version__ = importlib.metadata.version(name)  # type: ignore[attr-defined]
    return module


def _replace(name: str) -> None:
    """A module whose attributes are their names."""
    module = types.ModuleType(name)
    module.__getattr__ = lambda attribute: attribute  # type: ignore[method-assign]
    sys.modules[name] = module
