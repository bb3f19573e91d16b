"""Finding strategies: by their name in this package, or in a file of a user's own."""

from __future__ import annotations

import importlib
import inspect
import linecache
import pkgutil
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

import barnabas_quant.strategies as package
from barnabas_quant.strategies.base import Strategy, StrategyError


@cache
def built_in() -> dict[str, type[Strategy]]:
    """Give the strategies of the package by their names."""
    found: dict[str, type[Strategy]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for kind in _strategies_in(importlib.import_module(f"{package.__name__}.{module.name}")):
            found[kind.name] = kind
    return found


def find_strategy(name: str, source: str | None = None) -> type[Strategy]:
    """Give a strategy by its name, or that of a file. Raises StrategyError.

    `source`: the file's text, where it is known: then the file need not be there any more.
    """
    if not name.endswith(".py"):
        try:
            return built_in()[name]
        except KeyError:
            names = ", ".join(sorted(built_in()))
            raise StrategyError(f"no strategy {name}; there are {names}, or name a file that ends in .py") from None
    found = _strategies_in(_load(name, read_source(name) if source is None else source))
    if len(found) != 1:
        names = f": {', '.join(kind.__name__ for kind in found)}" if found else ""
        raise StrategyError(f"{name}: one class that derives from Strategy is wanted, there are {len(found)}{names}")
    kind = found[0]
    said = getattr(kind, "name", None)
    if not isinstance(said, str) or not _NAME.fullmatch(said):
        raise StrategyError(f'{name}: {kind.__name__} has no name; write for instance  name = "BREAKOUT"')
    if not (inspect.isclass(kind.Parameters) and issubclass(kind.Parameters, Strategy.Parameters)):
        raise StrategyError(f"{name}: {kind.__name__}.Parameters does not derive from Strategy.Parameters")
    return kind


def make_strategy(
    name: str, instruments: Sequence[str], parameters: Mapping[str, Any], source: str | None = None,
    alias: str | None = None,
) -> Strategy:  # fmt: skip
    """Make a strategy by its name, or that of a file, for instruments; `alias`: what its signals are called by.

    Raises StrategyError.
    """
    kind = find_strategy(name, source)
    try:
        made = kind(instruments, parameters)
        made.alias = alias or made.name
    except StrategyError as error:
        raise StrategyError(f"{name}: {error}" if name.endswith(".py") else str(error)) from error
    except Exception as error:  # whatever a user's class raises
        raise StrategyError(f"{name}: {_where(error, name)}{type(error).__name__}: {error}") from error
    return made


def read_source(name: str) -> str:
    """Read a strategy's file. Raises StrategyError."""
    try:
        return Path(name).read_text("utf-8")
    except FileNotFoundError:
        raise StrategyError(f"{name}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StrategyError(f"{name}: it cannot be read: {error}") from error


def _load(name: str, source: str) -> ModuleType:
    module = ModuleType("strategy_" + blake2b(f"{name} {source}".encode(), digest_size=8).hexdigest())
    module.__file__ = name
    sys.modules[module.__name__] = module  # where the types of annotations are looked up
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # for tracebacks
    try:
        exec(compile(source, name, "exec", dont_inherit=True), vars(module))
    except SyntaxError as error:
        raise StrategyError(f"{name}:{error.lineno}: {error.msg}: {(error.text or '').strip()}") from error
    except (Exception, SystemExit) as error:  # whatever a user's file raises
        raise StrategyError(f"{name}: {_where(error, name)}{type(error).__name__}: {error}") from error
    return module


def _where(error: BaseException, name: str) -> str:
    """Say which line of the file an exception comes from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return f"line {lines[-1]}: " if lines else ""


def _strategies_in(module: ModuleType) -> list[type[Strategy]]:
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Strategy)
        and kind is not Strategy
        and kind.__module__ == module.__name__
        and not kind.__name__.startswith("_")
    ]


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
