#!/usr/bin/env bash
# Drives kcat through a broker: kcat.sh HOST:PORT
#
# kcat has no admin calls: the topic is made and dropped by python/admin.py, with COMPAT_PYTHON (default python3), which
# needs confluent-kafka. One topic more is left to the broker's auto-creation.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,5p' "$0"; exit 2; }
bootstrap=$1
here=$(cd "$(dirname "$0")" && pwd)
python=${COMPAT_PYTHON:-python3}
work=$(mktemp -d)
topic=compat-kcat-$(basename "$work" | tr -dc 'A-Za-z0-9')
. "$here/steps.sh"

cleanup() {
  local pid
  for pid in $(cat "$work"/*.pid 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT

admin() { PYTHONDONTWRITEBYTECODE=1 "$python" "$here/python/admin.py" "$bootstrap" "$@"; }
client() { kcat -b "$bootstrap" "$@"; }
plain() { seq -f 'plain %.0f' 30; }
keyed() { for i in $(seq 60); do echo "key-$((i % 12))|键 $i"; done; }
everything() { { plain | sed 's/^/|/'; keyed; } | sort; }

create() {
  admin create "$topic" 3
  local listing
  listing=$(client -L -t "$topic")
  contains "$listing" "topic \"$topic\" with 3 partitions" "metadata"
  echo "3 partitions"
}

produce() {
  plain | client -P -t "$topic" -X acks=all -X enable.idempotence=true
  echo "30 records, idempotent"
}

produce_keyed() {
  keyed | client -P -t "$topic" -K '|' -H source=compat -z lz4 -X partitioner=murmur2_random
  echo "60 records, 12 keys, lz4"
}

consume() {
  local format='%p %o %h %k|%s\n'
  client -C -t "$topic" -o beginning -e -q -f "$format" > "$work/all"
  equal "$(sed 's/^[0-9]* [0-9]* [^ ]* *//' "$work/all" | sort)" "$(everything)" "keys and values"
  equal "$(awk '{ if ($2 != next_[$1]++) print }' "$work/all")" "" "offsets out of order"
  equal "$(grep -c 'source=compat' "$work/all")" 60 "records with the header"
  # each key on one partition: as many pairs of key and partition as keys
  equal "$(grep -o 'key-[0-9]*' "$work/all" | sort -u | wc -l)" 12 "keys"
  equal "$(awk '/key-/ { sub(/\|.*/, "", $4); print $1, $4 }' "$work/all" | sort -u | wc -l)" 12 "keys and partitions"
  local ends
  ends=$(client -Q -t "$topic:0:-1" -t "$topic:1:-1" -t "$topic:2:-1" | awk '{ sum += $NF } END { print sum }')
  equal "$ends" 90 "sum of end offsets"
  echo "90 records, order, keys, headers right"
}

# member NAME: a group member in the background; its standard error tells its assignments
member() {
  kcat -b "$bootstrap" -G "$topic-group" -X heartbeat.interval.ms=300 "$topic" > "$work/$1.out" 2> "$work/$1.log" &
  echo $! > "$work/$1.pid"
}

# held NAME: the partitions of a member's last assignment
held() { grep 'rebalanced' "$work/$1.log" | tail -1 | grep 'assigned' | grep -o '\[[0-9]*\]' | tr -d '[]' | sort; }

alone() { [ "$(held first | wc -l)" = 3 ]; }
shared() {
  local one other
  one=$(held first); other=$(held second)
  [ -n "$one" ] && [ -n "$other" ] && [ "$(sort <<< "$one"$'\n'"$other" | xargs)" = "0 1 2" ]
}

group() {
  member first
  eventually "the first member has all partitions" alone
  member second
  eventually "two members share the partitions" shared
  echo "alone 3, shared $(held first | wc -l)+$(held second | wc -l), alone again 3"
  end "$(cat "$work/second.pid")"
  eventually "the first member has all partitions back" alone
  end "$(cat "$work/first.pid")"
}

resume() {
  local read=(-G "$topic-resume" -q -X auto.offset.reset=earliest -f '%k|%s\n')
  client "${read[@]}" -c 40 "$topic" > "$work/before"
  client "${read[@]}" -e "$topic" > "$work/after"
  equal "$(sort "$work/before" "$work/after")" "$(everything)" "keys and values, nothing twice"
  equal "$(wc -l < "$work/before")" 40 "records before the commit"
  echo "40 before, $(wc -l < "$work/after") after the commit"
}

auto_create() {
  echo "first" | client -P -t "$topic-auto"
  equal "$(client -C -t "$topic-auto" -o beginning -e -q)" first "value"
  echo "a topic made by producing to it"
}

delete() {
  admin delete "$topic" "$topic-auto"
  local listing
  listing=$(client -L)
  [[ $listing != *"$topic"* ]] || fail "still listed"
  echo "gone from the list"
}

step create create
step produce produce
step "produce with keys" produce_keyed
step consume consume
step group group
step "commit and resume" resume
step "auto-create" auto_create
step delete delete
