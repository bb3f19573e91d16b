#!/usr/bin/env bash
# Drives Apache Kafka's own command-line tools through a broker: console.sh HOST:PORT
#
# The tools are Java classes out of Apache Kafka's jars, which peers/apache_kafka.py fetches (BARNABAS_PEERS). Each call
# starts a JVM, so a step takes about a second. dump-log reads the broker's files: it is left out, and says so, where
# the log folder that log-dirs names is not on this machine.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,6p' "$0"; exit 2; }
bootstrap=$1
here=$(cd "$(dirname "$0")" && pwd)
classpath=$("${COMPAT_PYTHON:-python3}" "$here/peers/apache_kafka.py" classpath)
work=$(mktemp -d)
topic=compat-console-$(basename "$work" | tr -dc 'A-Za-z0-9')
. "$here/steps.sh"

cleanup() {
  local pid
  for pid in $(cat "$work"/*.pid 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT

java=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.level=OFF -cp "$classpath")
# tool CLASS ARGS...: a tool that talks to the broker
tool() { "${java[@]}" "$1" --bootstrap-server "$bootstrap" "${@:2}"; }
topics() { tool org.apache.kafka.tools.TopicCommand "$@"; }
producer() { tool org.apache.kafka.tools.ConsoleProducer "$@"; }
consumer() { tool org.apache.kafka.tools.consumer.ConsoleConsumer "$@"; }
groups() { tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"; }
configs() { tool kafka.admin.ConfigCommand "$@"; }
offsets() { tool org.apache.kafka.tools.GetOffsetShell "$@"; }

plain() { seq -f 'plain %.0f' 30; }
keyed() { for i in $(seq 60); do echo "key-$((i % 12))|键 $i"; done; }
everything() { { plain | sed 's/^/null|/'; keyed; } | sort; }
sum_of_offsets() { offsets --topic "$topic" "$@" | awk -F: '{ sum += $3 } END { print sum + 0 }'; }
show_all=(--formatter-property print.key=true --formatter-property 'key.separator=|')

create() {
  contains "$(topics --create --topic "$topic" --partitions 3 --replication-factor 1)" "Created topic $topic." "answer"
  contains "$(topics --list)" "$topic" "list"
  local described
  described=$(topics --describe --topic "$topic")
  contains "$described" "PartitionCount: 3" "describe"
  equal "$(grep -cE 'Partition: [0-2].Leader: ([0-9]+).Replicas: \1.Isr: \1' <<< "$described")" 3 \
    "partitions with a leader"
  local again
  if again=$(topics --create --topic "$topic" 2>&1); then fail "made twice: $again"; fi
  contains "$again" "already exists" "second creation"
  echo "3 partitions; a second time refused"
}

produce() {
  plain | producer --topic "$topic" > /dev/null
  equal "$(sum_of_offsets)" 30 "sum of end offsets"
  echo "30 records"
}

produce_keyed() {
  keyed | producer --topic "$topic" --reader-property parse.key=true --reader-property 'key.separator=|' \
    --command-property acks=all --compression-codec zstd > /dev/null
  equal "$(sum_of_offsets)" 90 "sum of end offsets"
  equal "$(sum_of_offsets --time earliest)" 0 "sum of start offsets"
  echo "60 records, 12 keys, zstd"
}

consume() {
  consumer --topic "$topic" --from-beginning --max-messages 90 "${show_all[@]}" \
    --formatter-property print.partition=true --formatter-property print.offset=true > "$work/all"
  equal "$(cut -d'|' -f3- "$work/all" | sort)" "$(everything)" "keys and values"
  equal "$(tr ':|' '  ' < "$work/all" | awk '{ if ($4 != next_[$2]++) print }')" "" "offsets out of order"
  equal "$(grep 'key-' "$work/all" | cut -d'|' -f1,3 | sort -u | wc -l)" 12 "keys and partitions"
  echo "90 records, order, keys right"
}

# member NAME: a group member in the background
member() {
  "${java[@]}" org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" \
    --topic "$topic" --group "$topic-group" --command-property heartbeat.interval.ms=300 > "$work/$1.out" 2>&1 &
  echo $! > "$work/$1.pid"
}

# held: how many partitions each member has, as `kafka-consumer-groups --describe --members` shows them
held() {
  { groups --describe --members --group "$topic-group" 2>/dev/null || true; } |
    awk -v group="$topic-group" '$1 == group { print $5 }' | sort | xargs
}
holds() { [ "$(held)" = "$1" ]; }

group() {
  member first
  eventually "the first member has all partitions" holds 3
  member second
  eventually "two members share the partitions" holds "1 2"
  contains "$(groups --list --state)" "$topic-group" "list of groups"
  contains "$(groups --describe --state --group "$topic-group")" "Stable" "state"
  end "$(cat "$work/second.pid")"
  eventually "the first member has all partitions back" holds 3
  end "$(cat "$work/first.pid")"
  echo "alone 3, shared 1+2, alone again 3"
}

resume() {
  local read=(--topic "$topic" --group "$topic-resume" --command-property auto.offset.reset=earliest "${show_all[@]}")
  consumer "${read[@]}" --max-messages 40 > "$work/before"
  consumer "${read[@]}" --max-messages 50 > "$work/after"
  equal "$(sort "$work/before" "$work/after")" "$(everything)" "keys and values, nothing twice"
  local described
  described=$(groups --describe --group "$topic-resume")
  equal "$(awk -v t="$topic" '$2 == t { at += $4; end += $5; lag += $6 } END { print at, end, lag }' <<< "$described")" \
    "90 90 0" "offsets and lag"
  groups --group "$topic-resume" --topic "$topic" --reset-offsets --to-earliest --execute > /dev/null
  described=$(groups --describe --group "$topic-resume")
  equal "$(awk -v t="$topic" '$2 == t { at += $4; lag += $6 } END { print at, lag }' <<< "$described")" "0 90" \
    "offsets and lag after a reset"
  groups --delete --group "$topic-group" --group "$topic-resume" > /dev/null
  local left
  left=$(groups --list)
  [[ $left != *"$topic"* ]] || fail "groups left: $left"
  echo "40 before, 50 after the commit; reset to the beginning; groups deleted"
}

change_configs() {
  local entity=(--entity-type topics --entity-name "$topic")
  contains "$(configs --alter "${entity[@]}" --add-config retention.ms=86400000,max.message.bytes=2000000)" \
    "Completed updating config" "answer"
  local described
  described=$(configs --describe "${entity[@]}")
  contains "$described" "retention.ms=86400000" "describe"
  contains "$described" "DYNAMIC_TOPIC_CONFIG:retention.ms=86400000" "synonyms"
  configs --alter "${entity[@]}" --delete-config retention.ms > /dev/null
  described=$(configs --describe "${entity[@]}")
  [[ $described != *retention.ms* ]] || fail "still there: $described"
  contains "$(configs --describe --all "${entity[@]}")" "retention.ms=604800000" "default"
  local refused
  if refused=$(configs --alter "${entity[@]}" --add-config retention.ms=soon 2>&1); then fail "accepted: $refused"; fi
  echo "set, described with synonyms, deleted; a bad value refused"
}

delete_records() {
  printf '{"version": 1, "partitions": [{"topic": "%s", "partition": 1, "offset": 5}]}' "$topic" > "$work/records.json"
  contains "$(tool org.apache.kafka.tools.DeleteRecordsCommand --offset-json-file "$work/records.json")" \
    "partition: $topic-1	low_watermark: 5" "answer"
  equal "$(offsets --topic-partitions "$topic:1" --time earliest)" "$topic:1:5" "start of partition 1"
  echo "partition 1 begins at 5"
}

log_dirs() {
  local described
  described=$(tool org.apache.kafka.tools.LogDirsCommand --describe --topic-list "$topic" | tail -1)
  echo "$described" > "$work/log_dirs.json"
  equal "$(grep -o "\"partition\":\"$topic-[0-2]\",\"size\":[1-9]" "$work/log_dirs.json" | wc -l)" 3 \
    "partitions of a size"
  grep -o '"logDir":"[^"]*"' "$work/log_dirs.json" | cut -d'"' -f4 > "$work/log_dir"
  echo "3 partitions"
}

dump_log() {
  local segment
  segment=$(cat "$work/log_dir")/$topic-0/00000000000000000000.log
  [ -r "$segment" ] || { echo "left out: the broker's files are not on this machine"; return; }
  local dumped records
  dumped=$("${java[@]}" org.apache.kafka.tools.DumpLogSegments --files "$segment" --print-data-log)
  records=$(offsets --topic-partitions "$topic:0" | cut -d: -f3)
  equal "$(grep -c '^| offset: ' <<< "$dumped")" "$records" "records in the file"
  equal "$(grep -c 'isvalid: true' <<< "$dumped")" "$(grep -c '^baseOffset' <<< "$dumped")" \
    "batches with a right checksum"
  echo "$records records, every checksum right"
}

quorum() {
  local status
  status=$(tool org.apache.kafka.tools.MetadataQuorumCommand describe --status)
  grep -qE '^LeaderId: +[0-9]+$' <<< "$status" || fail "no leader: $status"
  grep -qE '^HighWatermark: +[1-9]' <<< "$status" || fail "no high watermark: $status"
  contains "$(tool org.apache.kafka.tools.MetadataQuorumCommand describe --replication)" "Leader" "replication"
  echo "leader $(awk '/^LeaderId/ { print $2 }' <<< "$status")"
}

features() {
  local described
  described=$(tool org.apache.kafka.tools.FeatureCommand describe)
  grep -qE 'metadata.version.*FinalizedVersionLevel: [34]\.' <<< "$described" || fail "no metadata.version: $described"
  echo "$(grep -c FinalizedVersionLevel <<< "$described") features, metadata.version" \
    "$(sed -n 's/.*metadata.version.*FinalizedVersionLevel: \([^ \t]*\).*/\1/p' <<< "$described")"
}

api_versions() {
  local listed
  listed=$(tool org.apache.kafka.tools.BrokerApiVersionsCommand)
  contains "$listed" ":${bootstrap##*:} (id: " "broker"
  contains "$listed" "Produce(0): 0 to " "Produce"
  sed -n 's/.*(id: \([0-9]*\) .*/\1/p' <<< "$listed" | head -1 > "$work/broker"
  equal "$(grep -c 'usable' <<< "$listed" | awk '{ print ($1 > 30) }')" 1 "more than 30 usable APIs"
  echo "$(grep -c 'usable' <<< "$listed") usable APIs, $(grep -c 'UNSUPPORTED' <<< "$listed" || true) unsupported"
}

cluster() {
  local id endpoints
  id=$("${java[@]}" org.apache.kafka.tools.ClusterTool cluster-id --bootstrap-server "$bootstrap")
  grep -qE '^Cluster ID: [A-Za-z0-9_-]{22}$' <<< "$id" || fail "cluster id: $id"
  endpoints=$("${java[@]}" org.apache.kafka.tools.ClusterTool list-endpoints --bootstrap-server "$bootstrap")
  grep -qE "^$(cat "$work/broker") .*\b${bootstrap##*:}\b.*broker" <<< "$endpoints" || fail "endpoints: $endpoints"
  echo "$id"
}

leader_election() {
  local command=org.apache.kafka.tools.LeaderElectionCommand
  contains "$(tool $command --election-type preferred --topic "$topic" --partition 0)" \
    "Valid replica already elected for partitions $topic-0" "answer"
  echo "the preferred leader leads already"
}

reassign() {
  local broker command=org.apache.kafka.tools.reassign.ReassignPartitionsCommand
  broker=$(cat "$work/broker")
  printf '{"version": 1, "partitions": [{"topic": "%s", "partition": 0, "replicas": [%s]}]}' "$topic" "$broker" \
    > "$work/plan.json"
  contains "$(tool $command --execute --reassignment-json-file "$work/plan.json")" \
    "Successfully started partition reassignment for $topic-0" "execute"
  contains "$(tool $command --verify --reassignment-json-file "$work/plan.json")" \
    "Reassignment of partition $topic-0 is completed." "verify"
  contains "$(tool $command --list)" "No partition reassignments found." "list"
  echo "to the broker where it is"
}

delete() {
  topics --delete --topic "$topic"
  eventually "the topic is gone" gone
  echo "gone from the list"
}
gone() {
  local listed
  listed=$(topics --list) && ! grep -qx "$topic" <<< "$listed"
}

step create create
step produce produce
step "produce with keys" produce_keyed
step consume consume
step group group
step "commit and resume" resume
step configs change_configs
step delete-records delete_records
step log-dirs log_dirs
step dump-log dump_log
step metadata-quorum quorum
step features features
step broker-api-versions api_versions
step cluster cluster
step leader-election leader_election
step reassign-partitions reassign
step delete delete
