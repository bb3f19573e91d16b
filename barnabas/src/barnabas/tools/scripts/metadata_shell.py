"""Look around in the metadata of a cluster as in a file system: `kafka-metadata-shell`. It sends no requests.

It reads one file of the metadata partition, a log or a snapshot, Apache Kafka's or ours. With a command it runs that
and ends; without one it asks for commands. Differences: Java's shell runs its command while it is still reading, and
may show nothing of a topic that is there; ours reads first. The tabulator completes commands and paths where Python has
a readline; a quote that is not closed is an error, where Java's shell waits for the rest. A default of client quotas,
`user()`, can be entered. A folder may be named, too: its newest snapshot and the log behind it are read.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import re
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
#: how many arguments a command takes at most
_MOST = {"cd": 1, "exit": 0, "help": 0, "history": 1, "man": 1, "pwd": 0}
_NUMBER = re.compile(r"[+-]?[0-9]+")


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

    if not parsed.words:
        print("Loading...", flush=True)
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
    print("Starting...")
    _ask(shell)
    return 0


def _ask(shell: Shell) -> None:
    print("[ Kafka Metadata Shell ]")
    if sys.stdin.isatty():
        _edit(shell)
    while not shell.ended:
        try:
            line = input(">> ")
        except EOFError:
            break
        try:
            words = shlex.split(line)
        except ValueError as e:
            print(e)
            continue
        if words:
            shell.history.append(line.strip())
            shell.do(words)
    if sys.stdin.isatty():
        print()


def _edit(shell: Shell) -> None:
    """Let lines be edited and recalled, and the tabulator complete them, where there is a readline."""
    with contextlib.suppress(ImportError):
        import readline

        def complete(text: str, number: int) -> str | None:
            found = shell.completions(readline.get_line_buffer()[: readline.get_begidx()], text)
            return found[number] if number < len(found) else None

        readline.set_completer(complete)
        readline.set_completer_delims(" ")
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")


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
        elif strange := [w for w in arguments if w.startswith("-") and w != "-" and not _NUMBER.fullmatch(w)]:
            print(f"unrecognized arguments: '{strange[0]}'")
        elif len(arguments) > _MOST.get(name, len(arguments)):
            print(f"unrecognized arguments: '{arguments[_MOST[name]]}'")
        elif not arguments and name in ("cat", "man"):
            print("too few arguments")
        else:
            getattr(self, f"_{name}")(arguments)

    def completions(self, before: str, text: str) -> list[str]:
        """Return what can stand in the place of `text`, behind what was entered before it."""
        words = before.split()
        if not words or words == ["man"]:
            return [f"{name} " for name in _PAGES if name.startswith(text)]
        if words[0] not in ("cat", "cd", "find", "ls", "tree"):
            return []
        folder, slash, begin = text.rpartition("/")
        found = []
        for _, node in self._resolve(folder + slash or "."):
            if isinstance(node, dict):
                found += [
                    f"{folder}{slash}{name}{'/' if isinstance(node[name], dict) else ' '}"
                    for name in sorted(node) if name.startswith(begin)
                ]
        return found

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
        if not found:
            print(f"cd: {arguments[0]}: no such directory.")
        for path, node in found:  # of several the last one counts, as in Java's shell
            if isinstance(node, dict):
                self._at = path
            else:
                print(f"cd: {arguments[0]}: not a directory.")

    def _pwd(self, arguments: list[str]) -> None:
        print("/" + "/".join(self._at))

    def _exit(self, arguments: list[str]) -> None:
        self.ended = True

    def _history(self, arguments: list[str]) -> None:
        if arguments and not _NUMBER.fullmatch(arguments[0]):
            text = arguments[0]
            print(f"argument numEntriesToShow: could not convert '{text}' to Integer (For input string: \"{text}\")")
            return
        count = max(0, int(arguments[0])) if arguments else len(self.history)
        first = max(0, len(self.history) - count)
        for number, line in enumerate(self.history[first:], first):
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
