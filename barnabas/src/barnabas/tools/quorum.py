"""Describe the quorum of the controllers: DescribeQuorum, which any node answers."""

from __future__ import annotations

from barnabas.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
    PartitionData,
    TopicData,
)
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import check


def describe_quorum(cluster: Cluster) -> tuple[DescribeQuorumResponse, DescribeQuorumResponsePartitionData]:
    """Return the answer, which knows the nodes, and the quorum in it. Raises `ClientError`."""
    request = DescribeQuorumRequest([TopicData("__cluster_metadata", [PartitionData(0)])])
    answer: DescribeQuorumResponse = cluster.ask(request, call="describeMetadataQuorum")
    check(answer.error_code, answer.error_message)
    quorum = answer.topics[0].partitions[0]
    check(quorum.error_code, quorum.error_message)
    return answer, quorum
