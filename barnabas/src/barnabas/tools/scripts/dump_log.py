"""Show what the files of a log hold: `kafka-dump-log`. It sends no requests.

The files are those of Apache Kafka and ours alike. Damage ends the tool as in Java's: everything in front of it is
shown, then the message, without Java's stack trace. Differences: `--remote-log-metadata-decoder` is refused, for there
is no remote storage here; decoder classes are the four that come with Kafka, and DefaultDecoder shows bytes in
hexadecimal where Java's shows the address of an array; an index file that is not there is not made.
"""

from __future__ import annotations

import sys
from pathlib import Path

from barnabas.tools.dump_log_files import DumpError, dump_log, long_of
from barnabas.tools.dump_log_indexes import (
    Mismatches,
    dump_index,
    dump_producers,
    dump_time_index,
    dump_transaction_index,
)
from barnabas.tools.dump_log_records import DECODERS, Parser, parser_of
from barnabas.tools.errors import ToolError
from barnabas.tools.options import Option, Parsed

SUMMARY = (
    "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly "
    "corrupt log segment."
)
_DECODER = "org.apache.kafka.tools.api.StringDecoder"
OPTIONS = (
    Option("files", "REQUIRED: the files to show, separated by commas.", "file1, file2, ...", completes="file"),
    Option("print-data-log", "Show keys and values of records too. Any decoder implies it."),
    Option("deep-iteration", "Show every record, not only batches."),
    Option("skip-record-metadata", "Show keys and values alone; nothing of control records."),
    Option("verify-index-only", "Compare indexes with the log and show only what does not match."),
    Option("index-sanity-check", "Check indexes as a broker does when it starts, and show nothing of them."),
    Option("max-message-size", "How large a batch may be that an index points to.", "size", "int", 5 * 1024 * 1024),
    Option("max-bytes", "How many bytes of each log are read at most.", "size", "int", (1 << 31) - 1),
    Option("key-decoder-class", "How keys are shown.", "class", default=_DECODER, optional=True,
           completes=" ".join(DECODERS)),
    Option("value-decoder-class", "How values are shown.", "class", default=_DECODER, optional=True,
           completes=" ".join(DECODERS)),
    Option("offsets-decoder", "Decode the records of __consumer_offsets."),
    Option("transaction-log-decoder", "Decode the records of __transaction_state."),
    Option("cluster-metadata-decoder", "Decode the records of __cluster_metadata, its snapshots included."),
    Option("share-group-state-decoder", "Decode the records of __share_group_state."),
    Option("remote-log-metadata-decoder", "Refused: there is no remote storage."),
)
EXAMPLE = """
kafka-dump-log --files data/orders-0/00000000000000000000.log --print-data-log
kafka-dump-log --files data/__cluster_metadata-0/00000000000000000000.log --cluster-metadata-decoder
"""

_CONTENTS = (
    "print-data-log", "offsets-decoder", "transaction-log-decoder", "cluster-metadata-decoder",
    "remote-log-metadata-decoder", "value-decoder-class", "key-decoder-class", "share-group-state-decoder",
)


def run(options: Parsed) -> int:
    """Show the files, then what does not match in their indexes."""
    options.require("files")
    files = str(options.value("files")).split(",")
    while files and not files[-1]:  # Java's split drops what is empty at the end
        files.pop()
    mismatches = Mismatches()
    try:
        for name in files:
            print(f"Dumping {name}")
            _dump(Path(name), options, mismatches)
    except BrokenPipeError:
        raise
    except (DumpError, OSError) as e:
        sys.stdout.flush()
        raise ToolError(_text(e)) from e
    sys.stdout.flush()
    mismatches.show()
    return 0


def _dump(path: Path, options: Parsed, mismatches: Mismatches) -> None:
    name = path.name
    suffix = path.suffix
    verify, sanity = options.has("verify-index-only"), options.has("index-sanity-check")
    if suffix in (".log", ".checkpoint"):
        contents = any(options.has(option) for option in _CONTENTS)
        dump_log(
            path, _parser(options) if contents else None, deep=contents or options.has("deep-iteration"),
            skip_metadata=options.has("skip-record-metadata"), max_bytes=options.value("max-bytes"),
            mismatches=mismatches,
        )
    elif suffix == ".index":
        dump_index(path, long_of(name), sanity, verify, mismatches, options.value("max-message-size"))
    elif suffix == ".timeindex":
        dump_time_index(path, long_of(name), sanity, verify, mismatches)
    elif suffix == ".snapshot":
        dump_producers(path)
    elif suffix == ".txnindex":
        dump_transaction_index(path)
    else:
        print(f"Ignoring unknown file {path}", file=sys.stderr)


def _parser(options: Parsed) -> Parser:
    for decoder in ("offsets", "transaction-log", "cluster-metadata", "remote-log-metadata", "share-group-state"):
        if options.has(f"{decoder}-decoder"):
            return parser_of(decoder)
    return parser_of(options.value("value-decoder-class"), options.value("key-decoder-class"))


def _text(error: Exception) -> str:
    """Return Java's words: of a file that is not there it says the name."""
    if isinstance(error, FileNotFoundError):
        return str(error.filename)
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
