"""DescribeCluster (key 60): describe the cluster's nodes.

Source: Kafka's message definitions DescribeClusterRequest and DescribeClusterResponse.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import Message, Struct, V, boolean, int8, int16, int32, string


class DescribeClusterRequest(Message):
    """Hold the request of DescribeCluster."""

    KEY: ClassVar[int] = 60
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    include_cluster_authorized_operations: boolean = False
    endpoint_type: Annotated[int8, V("1+")] = 1
    include_fenced_brokers: Annotated[boolean, V("2+")] = False


class DescribeClusterBroker(Struct):
    broker_id: int32 = 0
    host: string = ""
    port: int32 = 0
    rack: string | None = None
    is_fenced: Annotated[boolean, V("2+")] = False


class DescribeClusterResponse(Message):
    """Hold the response of DescribeCluster."""

    KEY: ClassVar[int] = 60
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    throttle_time_ms: int32 = 0
    error_code: int16 = 0
    error_message: string | None = None
    endpoint_type: Annotated[int8, V("1+")] = 1
    cluster_id: string = ""
    controller_id: int32 = -1
    brokers: list[DescribeClusterBroker] = []
    cluster_authorized_operations: int32 = -2147483648
