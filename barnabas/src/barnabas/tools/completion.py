"""Complete the commands of Kafka's scripts in a shell: options, topics, groups, files.

The shell's script calls `barnabas complete LINE` with the line up to the cursor and gets a candidate a line. Names of
topics and groups are asked of the cluster that the line names, of localhost:9092 where it names none; one that does not
answer within a second has no names. Nothing here prints an error: a shell would show it in the middle of the line.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import itertools
import shlex
from typing import Any

from barnabas.protocol.errors import BarnabasError
from barnabas.protocol.messages.list_groups import ListGroupsRequest
from barnabas.tools.catalog import SCRIPTS, script_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.commands import Commands
from barnabas.tools.settings import Settings, load_properties

_SCRIPTS = {
    "bash": r"""_barnabas_complete() {{
  local word
  COMPREPLY=()
  while IFS= read -r word; do
    case ${{COMP_WORDS[COMP_CWORD]}} in  # names stay names, whatever they are made of: bash does not quote them
      \'*) word=${{word//\'/\'\\\'\'}} ;;
      \"*)
        word=${{word//\\/\\\\}} word=${{word//\"/\\\"}} word=${{word//\$/\\\$}} word=${{word//\`/\\\`}}
        word=${{word//!/\"\'!\'\"}}
        ;;
      *) [[ $word != *[!A-Za-z0-9_.,:/=@%+-]* ]] || printf -v word %q "$word" ;;
    esac
    COMPREPLY+=("$word")
  done < <(barnabas complete "${{COMP_LINE:0:COMP_POINT}}" 2> /dev/null)
}}
complete -o default -F _barnabas_complete {names}
""",
    "zsh": """#compdef {names}
_barnabas_complete() {{
  local -a found
  found=("${{(@f)$(barnabas complete "$LBUFFER" 2> /dev/null)}}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}}
compdef _barnabas_complete {names}
""",
    "fish": """for name in {names}
  complete -c $name -a '(barnabas complete (commandline -cp) 2> /dev/null)'
end
""",
}
_PATIENCE = 1.0
_ADDRESS = ("--bootstrap-server", "--broker-list", "--bootstrap-controller")


def script(shell: str) -> str:
    """Return the script that a shell is to read: `source <(barnabas completion bash)`."""
    names = " ".join(name + ending for name in SCRIPTS for ending in ("", ".sh"))
    return _SCRIPTS[shell].format(names=names)


def complete(line: str) -> list[str]:
    """Return what may stand where a command line ends, each beginning with the word that is there already."""
    words = _words(line)
    if len(words) > 2 and words[0] == "barnabas":  # `barnabas topics` is `kafka-topics`
        words.pop(0)
    name = script_of(words[0].rsplit("/", 1)[-1]) if words else None
    if name is None or len(words) < 2 or SCRIPTS[name].module is None:
        return []
    module: Any = importlib.import_module(f"barnabas.tools.scripts.{SCRIPTS[name].module}")
    options, commands = _options(module, words[1:-1])
    current = words[-1]
    takes_value, kind = options.get(words[-2], (False, ""))
    if takes_value:
        head, comma, current = current.rpartition(",")  # of a list the part behind the last comma is completed
        values = (value for value in _values(kind, words) if value.isprintable())  # each is a line for the shell
        return sorted(f"{head}{comma}{value}" for value in values if value.startswith(current))
    found = options if current.startswith("-") else commands
    return sorted(value for value in found if value.startswith(current))


def _words(line: str) -> list[str]:
    """Split the line as a shell does; the last word is the one at the cursor, perhaps empty."""
    open_word = bool(line) and not line[-1].isspace()
    for ending in ("", "'", '"'):  # a quote may still be open
        with contextlib.suppress(ValueError):
            words = shlex.split(line + ending)
            return words if open_word else [*words, ""]
    return []


#: of an option: whether it takes a value, and what completes that
_Options = dict[str, tuple[bool, str]]


def _options(module: Any, words: list[str]) -> tuple[_Options, list[str]]:
    """Return the options that a tool has behind some words, and the subcommands that may follow."""
    if hasattr(module, "OPTIONS"):
        own = {f"--{option.name}": (bool(option.value), option.completes) for option in module.OPTIONS}
        return own | {"--help": (False, ""), "--version": (False, "")}, []
    parser: argparse.ArgumentParser | None = Commands()
    module.parser(parser)
    options: _Options = {}
    commands: list[str] = []
    waiting = list(words)
    while parser is not None:
        following: argparse.ArgumentParser | None = None
        commands = []
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                commands = list(action.choices)
                chosen = next((word for word in waiting if word in action.choices), None)
                if chosen is not None:
                    waiting = waiting[waiting.index(chosen) + 1 :]
                    following = action.choices[chosen]
            for name in action.option_strings:
                if name.startswith("--"):
                    kind = next((kind for kind in ("topic", "group") if name == f"--{kind}"), "")
                    options[name] = (action.nargs != 0, kind)
        parser = following
    return options, commands


def _values(kind: str, words: list[str]) -> list[str]:
    """Return the values of a kind: names that the cluster knows, or the words that the kind lists."""
    if kind not in ("topic", "group"):
        return [] if kind in ("file", "server") else kind.split()
    try:
        with Cluster(_settings(words), patience=_PATIENCE) as cluster, contextlib.redirect_stderr(io.StringIO()):
            if kind == "topic":
                return [topic.name or "" for topic in cluster.topics()]
            answers = cluster.each_broker(ListGroupsRequest()).values()
            return [group.group_id for answer in answers for group in answer.groups]
    except (BarnabasError, OSError):
        return []


def _settings(words: list[str]) -> Settings:
    """Make settings of the address and the property file that stand in the line."""
    given = dict(itertools.pairwise(words))
    address = next((given[name] for name in _ADDRESS if name in given), "localhost:9092")
    path = given.get("--command-config")
    return Settings(load_properties(path) if path else {}, address)
