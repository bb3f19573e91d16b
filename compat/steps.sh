# Steps for shell programs: one printed line each, the first wrong answer ends the program with exit code 1.
# Sourced by kcat.sh and console.sh. A program sets `work`, its own temporary folder.

# step NAME FUNCTION: runs FUNCTION in a shell of its own under `set -e`; what it prints is the step's detail.
step() {
  local begun=$EPOCHREALTIME said status seconds
  set +e
  said=$(set -e; "$2" 2>"$work/stderr")
  status=$?
  set -e
  seconds=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')
  if [ $status -ne 0 ]; then
    echo "FAIL $1 ($seconds s): $said"
    grep -v '^SLF4J' "$work/stderr" >&2
    exit 1
  fi
  echo "ok   $1 ($seconds s): $said"
}

fail() { echo "$*"; exit 1; }

# equal GOT WANT WHAT
equal() { [ "$1" = "$2" ] || fail "$3: got '$1', want '$2'"; }

# contains TEXT PART WHAT
contains() { [[ $1 == *"$2"* ]] || fail "$3: '$2' is not in: $1"; }

# eventually WHAT COMMAND...: waits until COMMAND succeeds, a minute at most
eventually() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "not within 60 s: $what"
    sleep 0.1
  done
}

# end PID: ends a process that this program started, and waits for it
end() {
  kill "$1" 2>/dev/null || true
  while kill -0 "$1" 2>/dev/null; do sleep 0.05; done
}
