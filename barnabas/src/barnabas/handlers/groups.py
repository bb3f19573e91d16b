"""Answer the classic group protocol: FindCoordinator (0-6), JoinGroup (0-9), SyncGroup (0-5), Heartbeat (0-4),
LeaveGroup (0-5), DescribeGroups (0-6), ListGroups (0-5), DeleteGroups (0-2).
"""

from __future__ import annotations

from typing import Final

from barnabas.groups.classic import DEAD
from barnabas.handlers.context import Answer, Deferred, Request
from barnabas.handlers.operations import GROUP_OPERATIONS, NOT_ASKED
from barnabas.log.files import StorageError
from barnabas.node.node import OFFSETS_TOPIC, Node
from barnabas.protocol.errors import SENTENCES, ErrorCode, KafkaError
from barnabas.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from barnabas.protocol.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from barnabas.protocol.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from barnabas.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from barnabas.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from barnabas.protocol.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from barnabas.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from barnabas.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

_GROUP, _TRANSACTION, _SHARE = 0, 1, 2
_NO_TRANSACTIONS: Final = "Transactions are not supported by this broker."


def find_coordinator(node: Node, request: Request) -> Answer:
    """Answer FindCoordinator: this node, once `__consumer_offsets` is there."""
    message: FindCoordinatorRequest = request.message
    kind = message.key_type if request.version >= 1 else _GROUP
    keys = message.coordinator_keys if request.version >= 4 else [message.key]
    found = [_coordinator(node, request, key, kind) for key in keys]
    if request.version >= 4:
        return FindCoordinatorResponse(coordinators=found)
    if not found[0].error_code:
        found[0].error_message = "NONE"
    c = found[0]
    return FindCoordinatorResponse(
        error_code=c.error_code, error_message=c.error_message, node_id=c.node_id, host=c.host, port=c.port
    )


def _coordinator(node: Node, request: Request, key: str, kind: int) -> Coordinator:
    try:
        if kind == _TRANSACTION:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, _NO_TRANSACTIONS)
        if kind != _GROUP:
            raise KafkaError(ErrorCode.INVALID_REQUEST, SENTENCES[ErrorCode.INVALID_REQUEST])
        if OFFSETS_TOPIC not in node.image.topics:
            node.topics.create_internal(OFFSETS_TOPIC)
    except (KafkaError, StorageError) as e:
        code = e.code if isinstance(e, KafkaError) else ErrorCode.COORDINATOR_NOT_AVAILABLE
        return Coordinator(key, -1, "", -1, code, e.message if isinstance(e, KafkaError) else str(e))
    listener = request.client.listener
    return Coordinator(key, node.node_id, listener.advertised_host, listener.advertised_port, 0, "")


def join_group(node: Node, request: Request) -> Answer:
    """Answer JoinGroup when the rebalance completes."""
    message: JoinGroupRequest = request.message
    deferred = Deferred()

    def reply(answer: JoinGroupResponse) -> None:
        if request.version < 7:
            answer.protocol_name = answer.protocol_name or ""
        elif answer.error_code:
            answer.protocol_name = None
        deferred.resolve(answer)

    try:
        node.groups.join(message, request.client_id, f"/{request.client.host}", request.version, reply)
    except KafkaError as e:
        return JoinGroupResponse(
            error_code=e.code, member_id=message.member_id, protocol_name=None if request.version >= 7 else ""
        )
    return deferred


def sync_group(node: Node, request: Request) -> Answer:
    """Answer SyncGroup when the leader's assignment is there."""
    message: SyncGroupRequest = request.message
    deferred = Deferred()
    if request.version >= 5 and (message.protocol_type is None or message.protocol_name is None):
        return SyncGroupResponse(error_code=ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    try:
        node.groups.sync(message, deferred.resolve)
    except KafkaError as e:
        return SyncGroupResponse(error_code=e.code)
    return deferred


def heartbeat(node: Node, request: Request) -> Answer:
    """Answer Heartbeat."""
    m: HeartbeatRequest = request.message
    try:
        code = node.groups.heartbeat(m.group_id, m.member_id, m.group_instance_id, m.generation_id)
    except KafkaError as e:
        code = e.code
    return HeartbeatResponse(error_code=code)


def leave_group(node: Node, request: Request) -> Answer:
    """Answer LeaveGroup: one member up to version 2, several from 3 on."""
    message: LeaveGroupRequest = request.message
    members = message.members if request.version >= 3 else [MemberIdentity(message.member_id)]
    if not message.group_id:
        return LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)
    answers = []
    for m in members:
        try:
            node.groups.leave(message.group_id, m.member_id, m.group_instance_id)
            answers.append(MemberResponse(m.member_id, m.group_instance_id, 0))
        except KafkaError as e:
            answers.append(MemberResponse(m.member_id, m.group_instance_id, e.code))
    if request.version >= 3:
        return LeaveGroupResponse(members=answers)
    return LeaveGroupResponse(error_code=answers[0].error_code)


def describe_groups(node: Node, request: Request) -> Answer:
    """Answer DescribeGroups; an unknown group is Dead, and from version 6 on GROUP_ID_NOT_FOUND."""
    message: DescribeGroupsRequest = request.message
    operations = GROUP_OPERATIONS if message.include_authorized_operations else NOT_ASKED
    described = []
    for group_id in message.groups:
        group: DescribedGroup = node.groups.describe(group_id)
        if group.group_state == DEAD and request.version >= 6:
            group.error_code = ErrorCode.GROUP_ID_NOT_FOUND
            group.error_message = f"Group {group_id} not found."
        else:
            group.authorized_operations = operations
        described.append(group)
    return DescribeGroupsResponse(groups=described)


def list_groups(node: Node, request: Request) -> Answer:
    """Answer ListGroups."""
    message: ListGroupsRequest = request.message
    return ListGroupsResponse(groups=node.groups.list(message.states_filter, message.types_filter))


def delete_groups(node: Node, request: Request) -> Answer:
    """Answer DeleteGroups."""
    message: DeleteGroupsRequest = request.message
    results = []
    for group_id in dict.fromkeys(message.groups_names):
        try:
            node.groups.delete(group_id)
            results.append(DeletableGroupResult(group_id, 0))
        except KafkaError as e:
            results.append(DeletableGroupResult(group_id, e.code))
    return DeleteGroupsResponse(results=results)
