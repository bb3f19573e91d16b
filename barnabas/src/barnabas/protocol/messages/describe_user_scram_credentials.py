"""DescribeUserScramCredentials (key 50): describe SCRAM credentials.

Source: Kafka's message definitions DescribeUserScramCredentialsRequest and DescribeUserScramCredentialsResponse.
"""

from typing import ClassVar

from barnabas.protocol.schema import Message, Struct, int8, int16, int32, string


class UserName(Struct):
    name: string = ""


class DescribeUserScramCredentialsRequest(Message):
    """Hold the request of DescribeUserScramCredentials."""

    KEY: ClassVar[int] = 50
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    users: list[UserName] | None = []


class CredentialInfo(Struct):
    mechanism: int8 = 0
    iterations: int32 = 0


class DescribeUserScramCredentialsResult(Struct):
    user: string = ""
    error_code: int16 = 0
    error_message: string | None = ""
    credential_infos: list[CredentialInfo] = []


class DescribeUserScramCredentialsResponse(Message):
    """Hold the response of DescribeUserScramCredentials."""

    KEY: ClassVar[int] = 50
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = ""
    results: list[DescribeUserScramCredentialsResult] = []
