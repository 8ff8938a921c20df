"""Errors of drivers as outcomes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from delfin_plugin import Failure, Misconfigured, Rejected, Retry, Unauthorized

# Not `InvalidCredential`: the driver for OceanStor raises it also while the array does not answer.
_UNAUTHORIZED = ("InvalidUsernameOrPassword", "NotAuthorized", "AuthenticationException")
_MISCONFIGURED = (
    "ComponentNotFound",
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


@contextmanager
def readable(what: str) -> Iterator[None]:
    """What a driver has returned is read: if that cannot be done, it is not what Delfin's drivers return."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Rejected(f"the {what} of the driver cannot be read: {type(error).__name__}: {error}") from error
