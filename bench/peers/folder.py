"""Name the folder that holds everything downloaded or built for a comparison, and run the installers in it."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path


class PeerError(RuntimeError):
    """A peer, or the load generator, could not be installed or did not do its work."""


def peers_folder() -> Path:
    """Return the cache folder: BARNABAS_PEERS, by default ~/.cache/barnabas-peers. It is created when absent."""
    folder = Path(os.environ.get("BARNABAS_PEERS") or Path.home() / ".cache" / "barnabas-peers")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def installing(name: str) -> Iterator[Path]:
    """Hold the lock of one installation, so that two benchmarks started together do not build over each other."""
    folder = peers_folder() / name
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield folder


def run_step(command: Sequence[str | Path], log: Path, folder: Path | None = None) -> None:
    """Run one installation step, its output appended to `log`.

    Raises PeerError with the end of that output when the step fails or its program is absent.
    """
    with log.open("ab") as output:
        try:
            done = subprocess.run(list(command), cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        except FileNotFoundError as error:
            raise PeerError(f"{command[0]} is not installed; bench/README.md lists what the peers need") from error
    if done.returncode:
        tail = log.read_text(errors="replace").splitlines()[-8:]
        raise PeerError("\n".join([f"{' '.join(map(str, command))} failed ({log}):", *tail]))
