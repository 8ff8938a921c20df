"""Sends bodies to the REST ingest of delfin-host."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Dict, Optional

#: The answers that say that the body itself is wrong. It would be refused again.
_REFUSED = (400, 413, 415)


class Unavailable(Exception):
    """The host did not store the batch, and may do so later."""

    def __init__(self, reason: str, after: Optional[float] = None) -> None:
        super().__init__(reason)
        #: Seconds that the host asks to wait.
        self.after = after


class Refused(Exception):
    """The host does not take this body."""


class Client:
    """The ingest of one kind: `performance` or `alerts`."""

    def __init__(self, url: str, kind: str, timeout: float, token_file: str = "") -> None:
        self.url = f"{url.rstrip('/')}/v1/ingest/{kind}"
        self._timeout = timeout
        self._token_file = token_file

    def send(self, body: bytes, key: str) -> Dict[str, Any]:
        """Returns the receipt when the host has stored the body. The same key is stored once."""
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Idempotency-Key": key,
        }
        if self._token_file:
            headers["Authorization"] = f"Bearer {self._token()}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                receipt: Dict[str, Any] = json.load(response)
                return receipt
        except urllib.error.HTTPError as error:
            with error:
                reason = f"`{self.url}` answers {error.code}: {_message(error)}"
                after = error.headers.get("Retry-After", "")
            if error.code in _REFUSED:
                raise Refused(reason) from None
            raise Unavailable(reason, float(after) if after.isdigit() else None) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"`{self.url}`: {getattr(error, 'reason', error)}") from error

    def _token(self) -> str:
        # Read each time, so that a new token needs no restart of Delfin.
        try:
            with open(self._token_file, encoding="ascii") as file:
                token = file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"cannot read `token_file` `{self._token_file}`: {error}") from error
        if not token.isprintable() or not token or " " in token:
            raise Unavailable(f"`token_file` `{self._token_file}` holds no token (write what `tokens add` printed)")
        return token


def _message(error: urllib.error.HTTPError) -> str:
    try:
        text = error.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return error.reason
    try:
        return str(json.loads(text)["error_msg"])
    except (ValueError, KeyError, TypeError):
        return text[:200] or error.reason
