"""Outcomes: what happened at the receiver. The host decides what to do.

Return `None` if the receiver has stored all rows. Otherwise return or raise a `Failure`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

#: The longest text that is sent, in characters.
_MAX_TEXT = 1024


class Failure(Exception):
    """Why the rows are not delivered. Use one of the subclasses.

    `message` is one line in lower case: the problem, the reason and the remedy, as in
    "connection to `acme:443` refused (is it running?)".
    """

    CLASS = ""
    DETAIL = 0

    def __init__(
        self,
        message: object,
        *,
        after: Optional[float] = None,
        extra: Optional[Dict[str, str]] = None,
    ) -> None:
        super().__init__(str(message))
        self.message = str(message)
        #: Seconds that the receiver asks to wait before the next attempt.
        self.after = after
        #: Further texts by name.
        self.extra = extra or {}

    def header(self) -> Dict[str, Any]:
        """The outcome as the protocol has it."""
        header: Dict[str, Any] = {"class": self.CLASS, "message": self.message[:_MAX_TEXT]}
        if self.DETAIL:
            header["detail"] = self.DETAIL
        if self.after:
            header["after_ms"] = max(0, int(self.after * 1000))
        if self.extra:
            header["extra"] = {str(name): str(text) for name, text in self.extra.items()}
        return header


#: What `export` and the other functions return: `None` for success.
Outcome = Optional[Failure]


class Retry(Failure):
    """The receiver is not available. The host sends the same rows again."""

    CLASS = "retry"


class Throttled(Failure):
    """The receiver is overloaded. The host sends nothing before `after` seconds."""

    CLASS = "retry"
    DETAIL = 1


class TooLarge(Failure):
    """The request is too large. The host splits it."""

    CLASS = "split"


class Rejected(Failure):
    """The receiver permanently refuses these rows. They become dead letters."""

    CLASS = "reject"


class Misconfigured(Failure):
    """A setting is wrong. The host keeps the rows."""

    CLASS = "pause"


class Unauthorized(Failure):
    """The receiver does not accept the credentials. The host keeps the rows."""

    CLASS = "pause"
    DETAIL = 1


class Fatal(Failure):
    """This instance cannot be used any more. The host creates a new one."""

    CLASS = "restart"


class Crashed(Fatal):
    """An exception that is not a `Failure`. The kit makes it; do not raise it."""

    DETAIL = 1


class Uncertain(Failure):
    """The rows were sent and the response is unknown."""

    CLASS = "uncertain"


class Unsupported(Failure):
    """The driver cannot do this at all. The host does not ask again."""

    CLASS = "unsupported"


class Undelivered:
    """Consecutive rows that are not delivered, by their number in the call, from 0."""

    def __init__(
        self,
        first: int,
        rows: int = 1,
        *,
        reason: str,
        retry: bool = False,
        uncertain: bool = False,
    ) -> None:
        self.first = first
        self.rows = rows
        self.reason = reason
        #: Whether the host sends them again. Otherwise they become dead letters.
        self.retry = retry
        #: Whether they were sent and the response is unknown: then they are handled as the rows
        #: of `Uncertain`.
        self.uncertain = uncertain

    @property
    def outcome_class(self) -> str:
        """The class that the protocol has for the rows."""
        if self.uncertain:
            return Uncertain.CLASS
        return Retry.CLASS if self.retry else Rejected.CLASS


class Partial(Failure):
    """The receiver has stored all rows except the named ones."""

    CLASS = "partial"

    def __init__(self, rows: Sequence[Undelivered], message: Optional[str] = None) -> None:
        self.rows: List[Undelivered] = list(rows)
        count = sum(part.rows for part in self.rows)
        super().__init__(message or f"{count} rows not delivered")

    def header(self) -> Dict[str, Any]:
        header = super().header()
        header["rows"] = [
            {
                "first": part.first,
                "len": part.rows,
                "class": part.outcome_class,
                "reason": part.reason[:_MAX_TEXT],
            }
            for part in self.rows
        ]
        return header
