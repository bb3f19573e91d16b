"""Configuration: every key of Apache Kafka 4.3, the node's and the topics' settings in effect, and their description.

Pure: nothing here reads anything but the properties file that it is given. `describe` (DescribeConfigs), `updates`
(AlterConfigs), `group` and `properties` are modules of their own.
"""

from barnabas.config.broker import BROKER_KEYS
from barnabas.config.definitions import ConfigException, ConfigKey, ConfigRequestException, ConfigType
from barnabas.config.server import Listener, ServerConfig
from barnabas.config.topic import TOPIC_KEYS, TopicConfig, validate_topic_configs

__all__ = [
    "BROKER_KEYS",
    "TOPIC_KEYS",
    "ConfigException",
    "ConfigKey",
    "ConfigRequestException",
    "ConfigType",
    "Listener",
    "ServerConfig",
    "TopicConfig",
    "validate_topic_configs",
]
