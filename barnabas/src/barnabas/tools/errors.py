"""Say how a tool ends when something is wrong."""

from __future__ import annotations

from barnabas.protocol.error_texts import exception_of, is_retriable, text_of
from barnabas.protocol.errors import BarnabasError


class ToolError(BarnabasError):
    """End the tool: the message is printed, to standard error or to standard output as Kafka does; status 1."""

    def __init__(self, message: str, *, status: int = 1, on_stdout: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.on_stdout = on_stdout


class OptionError(BarnabasError):
    """An option cannot be understood; the text is joptsimple's, which Kafka's tools print."""


class UsageError(OptionError):
    """The options do not fit together; Kafka's tools print the message, and the usage after it."""


class ConfigError(BarnabasError):
    """A client's configuration is wrong; the text is that of Java's ConfigException."""

    exception = "org.apache.kafka.common.config.ConfigException"

    def __init__(self, message: str, *, exception: str | None = None) -> None:
        super().__init__(message)
        if exception is not None:
            self.exception = exception


class ClientError(BarnabasError):
    """The cluster cannot be reached, or refused the connection."""


class AuthenticationFailed(ClientError):
    """TLS or SASL failed, which trying again does not mend. `detail` says more than Java's message."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class AnswerError(ClientError):
    """A broker answered with an error code."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(message or text_of(code))
        self.code = code

    @property
    def exception(self) -> str:
        """Return the simple name of the exception that Java raises for it."""
        return exception_of(self.code)

    @property
    def retriable(self) -> bool:
        """Tell whether Kafka's clients ask again."""
        return is_retriable(self.code)


def check(code: int, message: str | None = None) -> None:
    """Raise `AnswerError` for a code that is not 0."""
    if code:
        raise AnswerError(code, message)


def as_java(error: BarnabasError) -> str:
    """Write an error as Java's exception writes itself: its class, its message."""
    if isinstance(error, AnswerError):
        return f"org.apache.kafka.common.errors.{error.exception}: {error}"
    if isinstance(error, ConfigError):
        return f"{error.exception}: {error}"
    if isinstance(error, AuthenticationFailed):
        return f"org.apache.kafka.common.errors.AuthenticationException: {error}"
    if isinstance(error, ClientError):
        return f"org.apache.kafka.common.errors.TimeoutException: {error}"
    return f"java.io.IOException: {error}"
