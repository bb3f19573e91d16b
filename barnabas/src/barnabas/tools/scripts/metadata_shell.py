"""Look around in the metadata of a cluster as in a file system: `kafka-metadata-shell`. It sends no requests.

It reads one file of the metadata partition, a log or a snapshot, Apache Kafka's or ours. With a command it runs that
and ends; without one it asks for commands. Differences: Java's shell runs its command while it is still reading, and
may show nothing of a topic that is there; ours reads first. A default of client quotas, `user()`, can be entered. A
folder may be named, too: its newest snapshot and the log behind it are read.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from barnabas.tools.commands import Commands
from barnabas.tools.errors import ToolError

SUMMARY = "The Apache Kafka metadata shell"
EXAMPLE = """
kafka-metadata-shell --snapshot data/__cluster_metadata-0/00000000000000000000.log
kafka-metadata-shell --snapshot data/__cluster_metadata-0/00000000000000000000.log tree image/topics/byName
"""

_PAGES = {
    "cat": "Show what is in files: cat PATH...",
    "cd": "Go to a folder: cd PATH",
    "exit": "Leave the shell.",
    "find": "Show every path below folders: find [PATH...]",
    "help": "Show this list.",
    "history": "Show the commands that were entered: history [COUNT]",
    "ls": "List folders: ls [PATH...]",
    "man": "Say what a command does: man COMMAND",
    "pwd": "Show the folder in which you are.",
    "tree": "Show folders with all that is in them: tree [PATH...]",
}
#: those that can stand on the command line
_ONCE = ("cat", "find", "ls", "tree")


def parser(parser: Commands) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--snapshot", "-s", required=True, help="a log file or a snapshot of the metadata partition, or its folder"
    )
    parser.add_argument("words", nargs="*", metavar="command", help="a command; without one the shell asks")


def run(parsed: argparse.Namespace) -> int:
    """Run a command, or ask for commands until there are no more."""
    from barnabas.metadata.framing import MetadataError
    from barnabas.tools.metadata_tree import read_tree

    try:
        tree = read_tree(Path(parsed.snapshot))
    except FileNotFoundError as e:
        raise ToolError(f"Unexpected error: java.nio.file.NoSuchFileException: {e.filename}") from e
    except (OSError, MetadataError) as e:
        raise ToolError(f"Unexpected error: {e}") from e
    shell = Shell(tree)
    if parsed.words:
        if parsed.words[0] not in _ONCE:
            print(f"invalid choice: '{parsed.words[0]}' (choose from 'cat', 'find', 'ls', 'tree')")
        else:
            shell.do(parsed.words)
        return 0
    _ask(shell)
    return 0


def _ask(shell: Shell) -> None:
    prompt = ""
    if sys.stdin.isatty():
        prompt = ">> "
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  input() then edits lines and recalls them
        print("The metadata shell. `help` lists the commands, `exit` leaves.")
    while not shell.ended:
        try:
            line = input(prompt)
        except EOFError:
            return
        try:
            words = shlex.split(line)
        except ValueError as e:
            print(e)
            continue
        if words:
            shell.history.append(line.strip())
            shell.do(words)


class Shell:
    """Hold where somebody is in a tree, and do commands there."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self._root = tree
        self._at: list[str] = []
        self.history: list[str] = []
        self.ended = False

    def do(self, words: list[str]) -> None:
        """Do a command, and print what comes of it."""
        name, *arguments = words
        if name not in _PAGES:
            choices = ", ".join(f"'{page}'" for page in _PAGES)
            print(f"invalid choice: '{name}' (choose from {choices})")
        elif any(word.startswith("-") and word != "-" for word in arguments):
            print(f"unrecognized arguments: '{next(w for w in arguments if w.startswith('-'))}'")
        elif not arguments and name in ("cat", "man"):
            print("too few arguments")
        else:
            getattr(self, f"_{name}")(arguments)

    # --- paths ----------------------------------------------------------------------------------------------

    def _resolve(self, text: str) -> list[tuple[list[str], Any]]:
        """Return the paths that a pattern stands for, each with what is there."""
        found: list[tuple[list[str], Any]] = [
            ([], self._root) if text.startswith("/") else (list(self._at), self._node(self._at))
        ]
        for part in text.split("/"):
            if part in ("", "."):
                continue
            if part == "..":
                found = [(path[:-1], self._node(path[:-1])) for path, _ in found]
                continue
            found = [
                ([*path, name], node[name])
                for path, node in found if isinstance(node, dict)
                for name in ([part] if part in node else sorted(n for n in node if fnmatch.fnmatchcase(n, part)))
            ]
        return found

    def _node(self, path: list[str]) -> Any:
        node: Any = self._root
        for name in path:
            node = node[name]
        return node

    def _targets(self, command: str, arguments: list[str], missing: str) -> Iterator[tuple[list[str], Any]]:
        for text in arguments or ["."]:
            found = self._resolve(text)
            if not found:
                print(f"{command}: {text}: {missing}")
            yield from found

    # --- commands -------------------------------------------------------------------------------------------

    def _ls(self, arguments: list[str]) -> None:
        found = list(self._targets("ls", arguments, "no such file or directory."))
        files = [path[-1] for path, node in found if not isinstance(node, dict)]
        folders = [(path, node) for path, node in found if isinstance(node, dict)]
        for name in files:
            print(name)
        for number, (path, node) in enumerate(folders):
            if len(found) > 1:
                if files or number:
                    print()
                print(f"{path[-1] if path else '/'}:")
            for name in sorted(node):
                print(name)

    def _cat(self, arguments: list[str]) -> None:
        for text in arguments:
            found = self._resolve(text)
            if not found:
                print(f"cat: {text}: No such file or directory.")
            for path, node in found:
                print(f"cat: {_shown(text, path)}: Is a directory" if isinstance(node, dict) else node)

    def _find(self, arguments: list[str]) -> None:
        for text in arguments or ["/" + "/".join(self._at)]:
            for path, node in self._targets("find", [text], "no such file or directory."):
                self._print_below(_shown(text, path), node)

    def _print_below(self, path: str, node: Any) -> None:
        print(path)
        if isinstance(node, dict):
            for name in sorted(node):
                self._print_below(f"{path.rstrip('/')}/{name}", node[name])

    def _tree(self, arguments: list[str]) -> None:
        for _, node in self._targets("tree", arguments, "No such file or directory."):
            self._print_tree(node, "")

    def _print_tree(self, node: Any, indent: str) -> None:
        if not isinstance(node, dict):
            print(f"{indent}{node}")
            return
        for name in sorted(node):
            print(f"{indent}{name}:")
            self._print_tree(node[name], f"{indent}  ")

    def _cd(self, arguments: list[str]) -> None:
        found = self._resolve(arguments[0] if arguments else "/")
        if len(found) != 1:
            print(f"cd: {arguments[0]}: {'too many matches' if found else 'no such file or directory.'}")
        elif not isinstance(found[0][1], dict):
            print(f"cd: {arguments[0]}: not a directory.")
        else:
            self._at = found[0][0]

    def _pwd(self, arguments: list[str]) -> None:
        print("/" + "/".join(self._at))

    def _exit(self, arguments: list[str]) -> None:
        self.ended = True

    def _history(self, arguments: list[str]) -> None:
        count = int(arguments[0]) if arguments and arguments[0].isdecimal() else len(self.history)
        first = max(0, len(self.history) - count)
        for number, line in enumerate(self.history[first:], first + 1):
            print(f"{number:5d}  {line}")

    def _man(self, arguments: list[str]) -> None:
        page = _PAGES.get(arguments[0])
        print(f"man: unknown command {arguments[0]}. Type help to get a list of commands." if page is None
              else f"{arguments[0]}: {page}")

    def _help(self, arguments: list[str]) -> None:
        for name, page in _PAGES.items():
            print(f"{name:<9}{page}")


def _shown(text: str, path: list[str]) -> str:
    """Return a path as it was entered; what a pattern stands for from the root."""
    return "/" + "/".join(path) if any(letter in text for letter in "*?[") else text
