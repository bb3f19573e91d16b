"""Finding strategies: by their name in this package, or in a file of a user's own."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

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


def find_strategy(name: str) -> type[Strategy]:
    """Give a strategy by its name, or that of a file. Raises StrategyError."""
    if not name.endswith(".py"):
        try:
            return built_in()[name]
        except KeyError:
            names = ", ".join(sorted(built_in()))
            raise StrategyError(f"no strategy {name}; there are {names}, or name a file that ends in .py") from None
    path = Path(name)
    if not path.is_file():
        raise StrategyError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(f"strategy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{path}: it cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises
        raise StrategyError(f"{path}: {type(error).__name__}: {error}") from error
    found = _strategies_in(module)
    if len(found) != 1:
        raise StrategyError(f"{path}: one class that derives from Strategy is wanted, there are {len(found)}")
    return found[0]


def _strategies_in(module: ModuleType) -> list[type[Strategy]]:
    found = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Strategy) and kind is not Strategy and kind.__module__ == module.__name__
    ]
    for kind in found:
        if not isinstance(getattr(kind, "name", None), str):
            raise StrategyError(f"{module.__name__}: {kind.__name__} has no name")
    return found
