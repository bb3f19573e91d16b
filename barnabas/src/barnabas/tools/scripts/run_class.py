"""Run a tool by the name of its Java class, today's or an older one: `kafka-run-class`. The tool says how it differs.

Arguments for Java's virtual machine in front of the name (-name X, -loggc, -Xmx1g, -Dkey=value) are taken and ignored.
A name that is no tool's is an error that shows the nearest ones.
"""

from __future__ import annotations

import argparse
import sys

from barnabas.tools.catalog import SCRIPTS
from barnabas.tools.commands import Commands

SUMMARY = "Run a tool by the name of its Java class."
EXAMPLE = """
kafka-run-class org.apache.kafka.tools.GetOffsetShell --bootstrap-server localhost:9092 --topic orders
"""
_USAGE = "USAGE: kafka-run-class [-daemon] [-name servicename] [-loggc] classname [opts]"


def parser(parser: Commands) -> None:
    """Take every argument as it is: the tool reads them, --help included."""
    parser.add_help = False
    parser.prefix_chars = "\0"  # so that nothing is an option of this parser
    parser.add_argument("words", nargs="*")


def run(parsed: argparse.Namespace) -> int:
    """Run the tool of a class."""
    words: list[str] = parsed.words
    while words and words[0].startswith("-"):
        taken = 2 if words[0] == "-name" else 1
        del words[:taken]
    if not words:
        print(_USAGE)
        return 1
    name = words[0]
    known = {cls: script for script, entry in SCRIPTS.items() for cls in entry.classes}
    script = known.get(name)
    if script is None:
        import difflib

        print(f"Error: Could not find or load main class {name}", file=sys.stderr)
        near = difflib.get_close_matches(name, known, 3, 0.5) or [
            cls for cls in known if name.rpartition(".")[2].lower() in cls.lower()
        ]
        for cls in near:
            print(f"Did you mean {cls} ({known[cls]})?", file=sys.stderr)
        return 1
    from barnabas.tools.main import run as run_script

    return run_script(script, words[1:])
