"""Name what the console refuses or cannot do, with the status and the word that its answers carry."""

from __future__ import annotations

from typing import Any, ClassVar

from barnabas.protocol.errors import BarnabasError


class Refusal(BarnabasError):
    """Stand for an answer that is an error; the text is a sentence for the user."""

    status: ClassVar[int] = 400
    word: ClassVar[str] = "bad_request"

    def more(self) -> dict[str, Any]:
        """Return members that the answer has beside `error` and `message`."""
        return {}


class BadRequest(Refusal):
    """What was asked cannot be understood."""


class Unauthorized(Refusal):
    """It is not known who asks."""

    status, word = 401, "unauthorized"


class Forbidden(Refusal):
    """Who asks may not, or not in this way."""

    status, word = 403, "forbidden"


class NotFound(Refusal):
    """There is no such thing."""

    status, word = 404, "not_found"


class Conflict(Refusal):
    """The state of something stands in the way."""

    status, word = 409, "conflict"


class Busy(Refusal):
    """As much as may happen at once happens already."""

    status, word = 429, "busy"


class Unreachable(Refusal):
    """The cluster does not answer."""

    status, word = 503, "unreachable"


class Refused(Refusal):
    """Kafka said no; `code` is its name of the error."""

    status, word = 502, "kafka"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code

    def more(self) -> dict[str, Any]:
        """Return Kafka's name of the error."""
        return {"code": self.code}


class FilterError(BadRequest):
    """An expression is none; `position` is the index of the character at which it stops to be one."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"where, character {position + 1}: {message}")
        self.position = position

    def more(self) -> dict[str, Any]:
        """Return where it is wrong."""
        return {"position": self.position}
