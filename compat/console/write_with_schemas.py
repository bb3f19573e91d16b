"""Register schemas and write with confluent-kafka's serializers: CLIENT (JSON, a producer's configuration) REGISTRY.

Runs in a venv of its own, which has the serializers. Two records each go to `orders-avro` and `orders-protobuf`, whose
message is the second of its file; one to `orders-text`, whose Protobuf was registered as text.
"""

import json
import struct
import sys
from decimal import Decimal

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BEYOND = 2**53 + 1
AVRO = {
    "type": "record", "name": "Order", "namespace": "shop", "fields": [
        {"name": "id", "type": "long"}, {"name": "what", "type": ["null", "string"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    ],
}
TEXT = 'syntax = "proto3"; message Text { string what = 1; }'

file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
file.message_type.add(name="Before").field.add(name="x", number=1, type=9, label=1)
order = file.message_type.add(name="Order")
order.field.add(name="id", number=1, type=3, label=1)
order.field.add(name="what", number=2, type=9, label=1)
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
message = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))

registry = SchemaRegistryClient({"url": sys.argv[2]})
avro = AvroSerializer(registry, json.dumps(AVRO))
protobuf = ProtobufSerializer(message, registry, {"use.deprecated.format": False})
producer = Producer(json.loads(sys.argv[1]))
failed = []


def write(topic, value):
    producer.produce(topic, value, partition=0, on_delivery=lambda e, _: failed.append(e) if e else None)


for what in ("tea", "rice"):
    write("orders-avro", avro(
        {"id": BEYOND, "what": what, "price": Decimal("12.50")}, SerializationContext("orders-avro", MessageField.VALUE)
    ))
    write("orders-protobuf", protobuf(
        message(id=BEYOND, what=what), SerializationContext("orders-protobuf", MessageField.VALUE)
    ))
number = registry.register_schema("orders-text-value", Schema(TEXT, "PROTOBUF"))
write("orders-text", struct.pack(">bIb", 0, number, 0) + b"\x0a\x03tea")
left = producer.flush(30)
sys.exit(f"{left} records are left, {failed}" if left or failed else 0)
