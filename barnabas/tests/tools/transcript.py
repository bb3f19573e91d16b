"""Read and write command lines with what came of them.

    # a comment
    % sorted                     a word on how to compare the next command: see `Case`
    $ kafka-topics --bootstrap-server {kafka} --create --topic {n}a
    < a line for its standard input
    1> a line of its standard output
    2> a line of its standard error
    = 0

`{kafka}` is the broker's address, `{n}` begins the names of this run, `{tmp}` is a folder, `{logs}` one with the files
of `prepared_logs.py`. `write FILE` makes a file of its input, `cat FILE` shows one; `produce BROKER TOPIC PARTITION
COUNT [TIME]` writes records 0, 1, ... a millisecond apart; `pile BROKER TOPIC PARTITION MEGABYTES` writes so much that
no fetch takes all of it; `transact BROKER ID TOPIC` leaves a transaction open; `keep NAME PATTERN` takes what the
pattern's group finds in the last command's output for a name of the next ones, which is masked, too. Lines that begin
with `1>`, `2>` and `=` are there in recorded transcripts alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass
class Case:
    """Hold one command. `marks` say how it is compared:

    sorted: the order of lines does not count; no-stderr, no-stdout: that stream does not count; status: only the exit
    status counts; jvm: the Java tool gets a JVM of its own; kafka, barnabas: it is run on that broker alone; setup: the
    command prepares the next ones, and whether both tools agree does not count; seconds=N: it may take so long;
    figures: every number reads <n>, and of lines that are then the same as the one before only the first is left;
    squeezed: blanks in a row are one.
    """

    command: str
    marks: list[str] = field(default_factory=list)
    stdin: list[str] = field(default_factory=list)
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    status: int | None = None
    comment: list[str] = field(default_factory=list)

    def words(self, **names: str) -> list[str]:
        """Split the command as a shell does, names filled in."""
        return [fill(word, names) for word in shlex.split(self.command)]

    @property
    def input(self) -> str:
        """Return what the command reads."""
        return "".join(f"{line}\n" for line in self.stdin)

    @property
    def seconds(self) -> int:
        """Return how long the command may take."""
        return next((int(m.removeprefix("seconds=")) for m in self.marks if m.startswith("seconds=")), 60)


def fill(text: str, names: dict[str, str]) -> str:
    """Put names in the place of `{kafka}`, `{n}`, `{tmp}`; other braces stay."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def read(path: Path) -> Iterator[Case]:
    """Read a file of cases, or a transcript."""
    marks: list[str] = []
    comment: list[str] = []
    case: Case | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("$ "):
            if case is not None:
                yield case
            case = Case(line[2:], marks, comment=comment)
            marks, comment = [], []
        elif line.startswith("% "):
            marks = [*marks, *line[2:].split()]
        elif line.startswith("#"):
            comment = [*comment, line]
        elif case is not None and line[:2] in ("< ", "<"):
            case.stdin.append(line[2:])
        elif case is not None and line[:2] == "1>":
            case.stdout.append(line[3:])
        elif case is not None and line[:2] == "2>":
            case.stderr.append(line[3:])
        elif case is not None and line.startswith("= "):
            case.status = int(line[2:])
        elif line.strip():
            raise ValueError(f"{path}: cannot read {line!r}")
    if case is not None:
        yield case


def write(path: Path, cases: Iterable[Case]) -> None:
    """Write a transcript."""
    lines = []
    for case in cases:
        lines += ["", *case.comment]
        if case.marks:
            lines.append(f"% {' '.join(case.marks)}")
        lines.append(f"$ {case.command}")
        lines += [f"< {text}" for text in case.stdin]
        lines += [f"1> {text}".rstrip() for text in case.stdout]
        lines += [f"2> {text}".rstrip() for text in case.stderr]
        if case.status is not None:
            lines.append(f"= {case.status}")
    path.write_text("\n".join(lines).lstrip("\n") + "\n", encoding="utf-8")


# --- masks --------------------------------------------------------------------------------------------------

#: what Java's logging and stack traces print, on either stream
_NOISE = re.compile(
    r"^\s*at [\w.$/<>]+\(|^\s*at [\w.$]+/|^\t\.\.\. \d+ more|^Caused by: |^\s*Suppressed: "
    r"|^\d{4}-\d\d-\d\dT[\d:.]+Z [\w |.-]+ (ERROR|WARN|INFO) "
    r"|^\[\d{4}-\d\d-\d\d [\d:,]+\] (ERROR|WARN|INFO) |^(java|org|joptsimple|net|com)\.[\w.$]+(Exception|Error)\b"
    r"|^SLF4J|^WARN \[|^Hint: "
)
#: how a JVM begins the line that says what was not caught
_UNCAUGHT = re.compile(r'^Exception in thread "main" [\w.$]+: ')
_USAGE = re.compile(r"^Option( \(\* = required\))? {2,}(.* )?Description|^------|^usage: ")
_MASKS = (
    (re.compile(r"\bEpoch: \d+"), "Epoch: <n>"),
    (re.compile(r"\blog dir /\S+"), "log dir <path>"),
    (re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{86}=="), "<hmac>"),
    (re.compile(r'"/[^"/]+/[^"]*"'), '"<path>"'),
    (re.compile(r"(?<![\w-])[A-Za-z0-9_-]{22}(?![\w-])"), "<id>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"(?<!\d\.)\b(?:1[6-9]\d{11}|1[78]\d{8})\b"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,:]\d+)?"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\b[A-Z][a-z]+day, \d+\. [A-Z][a-z]+ \d{4}, \d+:\d\d [AP]M\b"), "<time>"),
)


_FIGURE = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?|\bNaN\b|\bInfinity\b")


def masked(
    text: str, names: dict[str, str], *, sort: bool = False, figures: bool = False, squeezed: bool = False
) -> list[str]:
    """Return the lines of an output with what may differ masked; a usage page ends it."""
    lines = []
    for line in text.splitlines():
        if _USAGE.match(line) or re.match(r"^kafka-[a-z0-9-]+: ", line):
            lines.append("<usage>")
            break
        if _NOISE.match(line):
            continue
        line = _UNCAUGHT.sub("", line)
        for name, value in sorted(names.items(), key=lambda item: -len(item[1])):
            line = line.replace(value, f"{{{name}}}")
        for pattern, mask in _MASKS:
            line = pattern.sub(mask, line)
        if squeezed:
            line = re.sub(r"  +", " ", line)
        if figures:
            line = _FIGURE.sub("<n>", line)
            if lines and line.rstrip() == lines[-1]:
                continue
        lines.append(line.rstrip())
    while lines and not lines[-1]:
        lines.pop()
    return sorted(lines) if sort else lines


# --- playing ------------------------------------------------------------------------------------------------

Tool = Callable[[list[str], Case], tuple[int, str, str]]
"""Run a command line; return status, standard output, standard error."""

_PROGRAM = "import sys; from barnabas.tools.main import run_as; sys.exit(run_as(sys.argv[1], sys.argv[2:]))"


def ours(words: list[str], case: Case) -> tuple[int, str, str]:
    """Run our tool in a process of its own; status 124 where it takes too long."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *words], input=case.input, capture_output=True, encoding="utf-8",
            timeout=case.seconds, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
    except subprocess.TimeoutExpired as e:
        return 124, (e.stdout or b"").decode(), (e.stderr or b"").decode()
    return done.returncode, done.stdout, done.stderr


def produce(broker: str, topic: str, partition: str, count: str, time: str = "1000000") -> None:
    """Write records, values 0, 1, ..., in one batch."""
    from confluent_kafka import Producer

    # It is sent when it is full, however long a busy machine takes to fill it.
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 60_000, "batch.num.messages": int(count)})
    for number in range(int(count)):
        producer.produce(topic, str(number).encode(), partition=int(partition), timestamp=int(time) + number)
    if producer.flush(20):
        raise TimeoutError(f"cannot write to {topic}")


def pile(broker: str, topic: str, partition: str, megabytes: str) -> None:
    """Write some megabytes, a batch each."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker, "batch.num.messages": 1})
    for _ in range(int(megabytes)):
        producer.produce(topic, bytes(900_000), partition=int(partition))
    if producer.flush(30):
        raise TimeoutError(f"cannot write to {topic}")


_OPEN: list[object] = []


def transact(broker: str, name: str, topic: str) -> None:
    """Leave a transaction open, with one record in partition 0 of a topic."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker, "transactional.id": name})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    if producer.flush(20):
        raise TimeoutError(f"cannot write to {topic}")
    _OPEN.append(producer)


def play(
    cases: Iterable[Case], broker: str, address: str, tool: Tool, more: dict[str, str] | None = None
) -> list[Case]:
    """Run cases against a broker ("kafka" or "barnabas") with a tool; return them with what came of them, masked.

    `more` holds further names that the cases use in braces.
    """
    folder = Path(tempfile.mkdtemp(prefix="barnabas-case-"))
    names = {"kafka": address, "n": f"t{uuid.uuid4().hex[:7]}", "tmp": str(folder), **(more or {})}
    cases = list(cases)
    if any("{logs}" in case.command for case in cases):
        sys.path.insert(0, str(Path(__file__).parent))  # the harness of compat has no package around this file
        from prepared_logs import prepare

        names["logs"] = str(folder / "logs")
        prepare(folder / "logs")
    done = []
    last = ""
    for case in cases:
        others = {"kafka", "barnabas"} - {broker}
        if others & set(case.marks):
            continue
        words = case.words(**names)
        filled = replace(case, stdin=[fill(line, names) for line in case.stdin])
        if words[0] == "write":
            Path(words[1]).write_text(filled.input, encoding="utf-8")
            done.append(replace(case, status=0))
            continue
        if words[0] in ("produce", "pile", "transact"):
            {"produce": produce, "pile": pile, "transact": transact}[words[0]](*words[1:])
            done.append(replace(case, status=0))
            continue
        if words[0] == "keep":
            found = re.search(words[2], last)
            names[words[1]] = found[1] if found else "nothing"
            done.append(replace(case, status=0 if found else 1))
            continue
        if words[0] == "cat":
            status, out, err = 0, Path(words[1]).read_text(encoding="utf-8"), ""
        else:
            status, out, err = tool(words, filled)
            last = out
        sort = "sorted" in case.marks
        how = {"sort": sort, "figures": "figures" in case.marks, "squeezed": "squeezed" in case.marks}
        silent_out = {"no-stdout", "status", "setup"} & set(case.marks)
        silent_err = {"no-stderr", "status", "setup"} & set(case.marks)
        done.append(replace(
            case, status=None if "setup" in case.marks else status,
            stdout=[] if silent_out else masked(out, names, **how),
            stderr=[] if silent_err else masked(err, names, **how),
        ))
    shutil.rmtree(folder, ignore_errors=True)
    return done


def differ(a: Case, b: Case) -> bool:
    """Tell whether two outcomes of a command differ."""
    return (a.status, a.stdout, a.stderr) != (b.status, b.stdout, b.stderr)
