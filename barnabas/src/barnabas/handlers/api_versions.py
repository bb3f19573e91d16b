"""Answer ApiVersions (0-4): what this node serves, and the features that it finalized.

A version above the range is answered in version 0 with UNSUPPORTED_VERSION and the range of ApiVersions alone, so that
the client can ask again (KIP-511). Produce is listed from 0 although it is served from 3, as Kafka does for old
clients (KAFKA-18659).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from barnabas.handlers.context import Answer, Request
from barnabas.node.node import Node
from barnabas.node.takeover import KNOWN_FEATURES
from barnabas.protocol.api import APIS, Api, Key
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
_advertised: dict[bool, list[ApiVersion]] = {False: [], True: []}
#: the features that this node supports, and the lowest level of each. A directory that Kafka wrote may have finalized
#: others: they are kept for the Kafka that takes it back, but clients must not take up what is not served
_SUPPORTED = {"metadata.version": 7, "kraft.version": 0}


def advertise(*, broker: Sequence[Api], controller: Sequence[Api]) -> None:
    """Set what the listeners of the broker and of the controller list."""
    _advertised[False] = [_range(api) for api in sorted(broker)]
    _advertised[True] = [_range(api) for api in sorted(controller)]


def _range(api: Api) -> ApiVersion:
    return ApiVersion(api.key, 0 if api.key == Key.PRODUCE else api.min_version, api.max_version)


def api_versions(node: Node, request: Request) -> Answer:
    """Answer ApiVersions."""
    message = request.message
    if request.version >= 3:
        name, version = message.client_software_name, message.client_software_version
        if not _SOFTWARE.fullmatch(name) or not _SOFTWARE.fullmatch(version):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        request.client.software_name, request.client.software_version = name, version
    features = [
        SupportedFeatureKey(feature, low, KNOWN_FEATURES[feature])
        for feature, low in _SUPPORTED.items()
        if request.version >= 4 or low > 0
    ]
    levels = {name: level for name, level in node.image.features.items() if name in _SUPPORTED}
    if node.store.kraft_version:
        levels["kraft.version"] = node.store.kraft_version
    return ApiVersionsResponse(
        api_keys=_advertised[request.client.listener.is_controller],
        supported_features=features,
        finalized_features_epoch=node.store.log.log_end_offset - 1,
        finalized_features=[FinalizedFeatureKey(name, level, level) for name, level in levels.items() if level > 0],
    )


def unsupported_version() -> ApiVersionsResponse:
    """Answer a version that is not served, to be encoded in version 0."""
    return ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=[_range(APIS[Key.API_VERSIONS])]
    )
