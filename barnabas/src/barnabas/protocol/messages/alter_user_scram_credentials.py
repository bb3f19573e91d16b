"""AlterUserScramCredentials (key 51): change SCRAM credentials.

Source: Kafka's message definitions AlterUserScramCredentialsRequest and AlterUserScramCredentialsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, binary, int8, int16, int32, string


class ScramCredentialDeletion(Struct):
    name: string = ""
    mechanism: int8 = 0


class ScramCredentialUpsertion(Struct):
    name: string = ""
    mechanism: int8 = 0
    iterations: int32 = 0
    salt: binary = b""
    salted_password: binary = b""


class AlterUserScramCredentialsRequest(Message):
    """Hold the request of AlterUserScramCredentials."""

    KEY: ClassVar[int] = 51
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    deletions: list[ScramCredentialDeletion] = []
    upsertions: list[ScramCredentialUpsertion] = []


class AlterUserScramCredentialsResult(Struct):
    user: string = ""
    error_code: int16 = 0
    error_message: string | None = ""


class AlterUserScramCredentialsResponse(Message):
    """Hold the response of AlterUserScramCredentials."""

    KEY: ClassVar[int] = 51
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    results: list[AlterUserScramCredentialsResult] = []
