"""Parse arguments for the tools that use argparse4j in Java: Python's argparse, with argparse4j's way to fail.

An error prints the usage, then `prog: error: what is wrong`, both on standard error; the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn


class Commands(argparse.ArgumentParser):
    """Be a parser whose errors look like argparse4j's."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        keywords.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        keywords["allow_abbrev"] = False
        super().__init__(*arguments, **keywords)

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and end with status 1."""
        self.print_usage(sys.stderr)
        print(f"{self.prog.split()[0]}: error: {message}", file=sys.stderr)
        raise SystemExit(1)
