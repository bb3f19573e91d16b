"""The operator's token: a file that whoever runs the platform can read, and nobody else."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

from barnabas_quant.endpoints import run_folder
from barnabas_quant.errors import SettingsError
from barnabas_quant.settings import Settings

log = logging.getLogger(__name__)

_SHORTEST = 32  # characters


def token_file(settings: Settings) -> Path | None:
    """Say where the operator's token stands; None: nowhere, there is no data folder."""
    if settings.gateway.operator_token_file is not None:
        return settings.gateway.operator_token_file
    return run_folder(settings.data) / "gateway.token" if settings.data.is_dir() else None


def read_token(path: Path) -> str:
    """Read a token. Raises SettingsError where there is none, or one that could be guessed."""
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the operator's token: cannot read {path}: {error}") from error
    if len(token) < _SHORTEST:
        raise SettingsError(f"the operator's token: {path} has fewer than {_SHORTEST} characters")
    return token


def keep_token(path: Path) -> str:
    """Give the token of a file, which is made, for its owner alone, where it is missing. Raises SettingsError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"{secrets.token_urlsafe(32)}\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, path)  # whole or not at all, and never in the place of another gateway's
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        if path.stat().st_mode & 0o077:
            log.warning("%s can be read by others: chmod 600 it", path)
    except OSError as error:
        raise SettingsError(f"the operator's token: cannot write {path}: {error.strerror}") from error
    return read_token(path)
