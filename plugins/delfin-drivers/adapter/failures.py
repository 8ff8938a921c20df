"""Errors of drivers as outcomes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from delfin_plugin import Failure, Misconfigured, Rejected, Retry, Unauthorized

# Not `InvalidCredential`: the driver for OceanStor raises it also while the array does not answer.
_UNAUTHORIZED = ("InvalidUsernameOrPassword", "NotAuthorized", "AuthenticationException")
_MISCONFIGURED = (
    "InvalidCAPath",
    "InvalidPrivateKey",
    "SSHNotFoundKnownHosts",
    "SSLCertificateFailed",
    "SSLHandshakeFailed",
)
_UNREADABLE = ("InvalidInput", "InvalidResults")


@contextmanager
def outcomes() -> Iterator[None]:
    """Raises errors of a driver as failures."""
    try:
        yield
    except (Failure, NotImplementedError):
        raise
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        text = f"{type(error).__name__}: {getattr(error, 'msg', None) or error}"
        if names.intersection(_UNAUTHORIZED):
            raise Unauthorized(text) from error
        if names.intersection(_MISCONFIGURED):
            raise Misconfigured(text) from error
        if names.intersection(_UNREADABLE):
            raise Rejected(text) from error
        raise Retry(text) from error
