"""Build librdkafka's own load generator, rdkafka_performance: a generator that no compared system can call unfair.

The crate rdkafka-sys carries librdkafka's sources, its examples included, so cargo is all that is needed to get them.
"""

import os
import shutil
from pathlib import Path

from bench.peers.folder import installing, run_step

CRATE = "4.10.0"
LIBRDKAFKA = "2.12.1"  # what that version of the crate carries


def install() -> Path:
    """Build the generator once, which takes a minute or two; return its path. bench/README.md lists what it needs."""
    with installing(f"rdkafka-{CRATE}") as folder:
        program = folder / "rdkafka_performance"
        if program.exists():
            return program
        log = folder / "build.log"
        log.unlink(missing_ok=True)
        crate = folder / "crate"
        (crate / "src").mkdir(parents=True, exist_ok=True)
        (crate / "src" / "lib.rs").touch()
        (crate / "Cargo.toml").write_text(
            f'[package]\nname = "sources"\nversion = "0.1.0"\nedition = "2021"\n\n'
            f'[dependencies]\nrdkafka-sys = "={CRATE}"\n'
        )
        run_step(["cargo", "vendor", "-q", "vendor"], log, crate)
        source = folder / "src"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(crate / "vendor" / "rdkafka-sys" / "librdkafka", source)
        run_step(["./configure"], log, source)
        run_step(["make", f"-j{os.cpu_count() or 1}", "libs"], log, source)
        run_step(["make", "-C", "examples", "rdkafka_performance"], log, source)
        # A rename is all or nothing: an interrupted build leaves no half-written program behind.
        built = source / "examples" / "rdkafka_performance"
        built.rename(program)
    return program
