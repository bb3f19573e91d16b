"""kafka-features: describe, upgrade, downgrade and disable features; say which release sets which, and what they need.

Requests: ApiVersions (describe), UpdateFeatures. Differs from Java's tool: there is --json for describe, and a wrong
value ends before anything is asked.
"""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import Namespace
from typing import Final

from barnabas.protocol.errors import BarnabasError
from barnabas.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from barnabas.tools.cluster import Cluster
from barnabas.tools.commands import Commands
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, ToolError, as_java, check
from barnabas.tools.settings import Settings, load_properties
from barnabas.tools.storage_features import (
    DEPENDENCIES,
    FEATURES,
    LATEST,
    METADATA_VERSION,
    default_level,
    metadata_version,
    version_name,
)
from barnabas.tools.texts import java_order

SUMMARY = "This tool manages feature flags in Kafka."
EXAMPLE = """
kafka-features --bootstrap-server localhost:9092 describe
kafka-features --bootstrap-server localhost:9092 upgrade --release-version 4.3 --dry-run
"""
TERSE: Final = "Command line error: {}. Type --help for help."
_UPGRADE, _SAFE_DOWNGRADE, _UNSAFE_DOWNGRADE = 1, 2, 3
_SHORT: Final = 1 << 15


def parser(parser: Commands) -> None:
    """Add arguments and commands."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--bootstrap-server", help="brokers to connect to, host:port with commas between")
    where.add_argument("--bootstrap-controller", help="controllers to connect to, in the place of brokers")
    parser.add_argument("--command-config", help="a property file with the client's configuration")
    commands = parser.add_subparsers(dest="command", required=True)
    parser.terse = TERSE
    describe = commands.add_parser("describe", help="show supported and finalized levels")
    describe.add_argument("--node-id", type=int, help="the node to ask; any without it")
    describe.add_argument("--json", action="store_true", help="print JSON; not in Apache Kafka's tool")
    for name, text in (("upgrade", "raise levels of features"), ("downgrade", "lower levels of features")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--metadata", help="the metadata.version; deprecated")
        command.add_argument("--release-version", help="set all features as this release does")
        command.add_argument("--feature", action="append", help="a feature and its level: group.version=1")
        if name == "downgrade":
            command.add_argument("--unsafe", action="store_true", help="even if metadata may be lost")
        command.add_argument("--dry-run", action="store_true", help="check only")
    disable = commands.add_parser("disable", help="set features to level 0")
    disable.add_argument("--feature", action="append", help="a feature")
    disable.add_argument("--unsafe", action="store_true", help="even if metadata may be lost")
    disable.add_argument("--dry-run", action="store_true", help="check only")
    mapping = commands.add_parser("version-mapping", help="show which levels a release sets")
    mapping.add_argument("--release-version", help="the release; the latest without it")
    needs = commands.add_parser("feature-dependencies", help="show what a feature's level needs")
    needs.add_argument("--feature", action="append", required=True, help="a feature and its level: group.version=1")
    for command in commands.choices.values():
        command.terse = TERSE


def run(chosen: Namespace) -> int:
    """Do what was asked."""
    if chosen.command == "version-mapping":
        return _mapping(chosen.release_version)
    if chosen.command == "feature-dependencies":
        return _dependencies(chosen.feature)
    path = chosen.command_config
    if path and not os.path.exists(path):
        raise ToolError(path)
    settings = Settings(
        load_properties(path) if path else {}, chosen.bootstrap_server, controllers=chosen.bootstrap_controller
    )
    updates: dict[str, tuple[int, int]] = {}
    if chosen.command != "describe":
        updates = _updates(chosen)
    try:
        with Cluster(settings) as cluster:
            if chosen.command == "describe":
                return _describe(cluster, chosen)
            return _update(cluster, chosen.command, updates, chosen.dry_run)
    except ConfigError:
        raise
    except ClientError as e:
        print(as_java(e), file=sys.stderr)
        return 1


# --- without a cluster --------------------------------------------------------------------------------------


def _mapping(release: str | None) -> int:
    name, level = metadata_version(LATEST if release is None else release)
    print(f"{METADATA_VERSION}={level} ({name if release is None else release})")
    for feature in FEATURES:
        print(f"{feature}={default_level(feature, level)}")
    return 0


def _dependencies(asked: list[str]) -> int:
    for text in asked:
        feature, level = parse_level(text)
        if feature == METADATA_VERSION:
            name = version_name(level)
            if name is None:
                raise ToolError(f"Unknown metadata.version {level}")
            print(f"{feature}={level} ({name}) has no dependencies.")
            continue
        if feature not in FEATURES:
            raise ToolError(f"Unknown feature: {feature}")
        if not 0 <= level <= len(set(FEATURES[feature])) and (feature, level) != ("transaction.version", 2):
            raise ToolError(f"No feature:{feature} with feature level {level}")
        needs = DEPENDENCIES.get((feature, level), {})
        print(f"{feature}={level} requires:" if needs else f"{feature}={level} has no dependencies.")
        for other, least in needs.items():
            print(f"    {other}={_level(other, least, full=True)}")
    return 0


def _level(feature: str, level: int, *, full: bool = False) -> str:
    if feature != METADATA_VERSION:
        return str(level)
    name = version_name(level)
    if full:
        return f"{level} ({name})"
    return name or f"UNKNOWN [{level}]"


def parse_level(text: str) -> tuple[str, int]:
    """Read `feature=level`. Raises `ToolError` in Kafka's words."""
    name, equals, level = text.partition("=")
    if not equals:
        raise ToolError(f"Can't parse feature=level string {text}: equals sign not found.")
    level = level.strip()
    number = int(level) if re.fullmatch(r"[+-]?[0-9]+", level) else _SHORT
    if not -_SHORT <= number < _SHORT:
        raise ToolError(f"Can't parse feature=level string {text}: unable to parse {level} as a short.")
    return name.strip(), number


# --- with a cluster -----------------------------------------------------------------------------------------


def _describe(cluster: Cluster, chosen: Namespace) -> int:
    if chosen.node_id is not None and chosen.node_id not in cluster.brokers:
        raise ClientError("Timed out waiting for a node assignment. Call: describeFeatures")
    connection = cluster.any("describeFeatures") if chosen.node_id is None else cluster.node(chosen.node_id)
    answer = connection.answer
    finalized = {feature.name: feature.max_version_level for feature in answer.finalized_features}
    epoch = str(answer.finalized_features_epoch) if answer.finalized_features_epoch >= 0 else "-"
    document = []
    for feature in sorted(answer.supported_features, key=lambda f: f.name):
        level = finalized.get(feature.name, 0)
        document.append({
            "feature": feature.name, "supportedMinVersion": feature.min_version,
            "supportedMaxVersion": feature.max_version, "finalizedVersionLevel": level,
        })
        if not chosen.json:
            print(
                f"Feature: {feature.name:<40}  "
                f"SupportedMinVersion: {_level(feature.name, feature.min_version):<15}  "
                f"SupportedMaxVersion: {_level(feature.name, feature.max_version):<15}  "
                f"FinalizedVersionLevel: {_level(feature.name, level):<15}  Epoch: {epoch}"
            )
    if chosen.json:
        print(json.dumps({"epoch": answer.finalized_features_epoch, "features": document}, indent=2))
    return 0


def _updates(chosen: Namespace) -> dict[str, tuple[int, int]]:
    """Return the level and the kind of change of each feature."""
    kind = _UPGRADE
    if chosen.command != "upgrade":
        kind = _UNSAFE_DOWNGRADE if chosen.unsafe else _SAFE_DOWNGRADE
    updates: dict[str, tuple[int, int]] = {}
    if chosen.command != "disable" and chosen.release_version is not None:
        if chosen.metadata is not None or chosen.feature:
            raise ToolError("Can not specify `release-version` with other feature flags.")
        _, level = metadata_version(chosen.release_version)
        updates[METADATA_VERSION] = (level, kind)
        levels = {feature: default_level(feature, level) for feature in FEATURES}
        # a release that does not know a feature does not raise it, but lowers it
        updates |= {feature: (level, kind) for feature, level in levels.items() if level or kind != _UPGRADE}
    elif chosen.command != "disable" and chosen.metadata is not None:
        print(" `metadata` flag is deprecated and may be removed in a future release.")
        updates[METADATA_VERSION] = (metadata_version(chosen.metadata)[1], kind)
    for text in chosen.feature or []:
        name, level = (text, 0) if chosen.command == "disable" else parse_level(text)
        if level == 0 and kind == _UPGRADE:
            raise ToolError(
                "The upgradeType flag should be set to SAFE_DOWNGRADE or UNSAFE_DOWNGRADE when the provided "
                "maxVersionLevel:0 is < 1."
            )
        if level < 0:
            raise ToolError("Cannot specify a negative version level.")
        if name in updates:
            raise ToolError(f"Feature {name} was specified more than once.")
        updates[name] = (level, kind)
    if not updates:
        raise ToolError(f"You must specify at least one feature to {chosen.command}")
    return updates


def _update(cluster: Cluster, command: str, updates: dict[str, tuple[int, int]], dry_run: bool) -> int:
    # in Java's order, because the first that is refused is the one that a broker names
    asked = [FeatureUpdateKey(n, updates[n][0], updates[n][1] != _UPGRADE, updates[n][1]) for n in
             java_order(updates, 16)]
    errors: dict[str, str] = {}
    results = []
    try:
        answer = cluster.ask(UpdateFeaturesRequest(60_000, asked, dry_run), call="updateFeatures")
        check(answer.error_code, answer.error_message)
        results = answer.results
    except AnswerError as e:  # such as that of a broker asked for a controller
        errors = dict.fromkeys(updates, str(e))
    for result in results:
        if result.error_code:
            errors[result.feature] = result.error_message or str(_text(result.error_code))
    for name in sorted(updates):
        level = updates[name][0]
        if name in errors:
            what = f"disable {name}" if command == "disable" else f"{command} {name} to {level}"
            print(f"{'Can not' if dry_run else 'Could not'} {what}. {errors[name]}")
        else:
            what = "disabled." if command == "disable" else f"{command}d to {level}."
            print(f"{name} {'can be' if dry_run else 'was'} {what}")
    if errors:
        raise ToolError(f"{len(errors)} out of {len(updates)} operation(s) failed.")
    return 0


def _text(code: int) -> BarnabasError:
    return AnswerError(code)
