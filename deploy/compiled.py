"""Compile the hot path: the very same source through mypyc, into a copy of the project that is otherwise as it was.

    python deploy/compiled.py FOLDER       # needs a C compiler and the packages of requirements.lock
    PYTHONPATH=FOLDER fig serve ...

fig runs without it, and is tested without it and with it (`make test-compiled`). What is gained, and why mypyc:
docs/decisions/0039-a-compiled-hot-path.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOT = (
    "proxy/dataplane/addresses.py",
    "proxy/dataplane/answers.py",
    "proxy/dataplane/bodies.py",
    "proxy/dataplane/canonical.py",
    "proxy/dataplane/client.py",
    "proxy/dataplane/exchange.py",
    "proxy/dataplane/failing.py",
    "proxy/dataplane/fields.py",
    "proxy/dataplane/forcing.py",
    "proxy/dataplane/heads.py",
    "proxy/dataplane/hop_by_hop.py",
    "proxy/dataplane/ids.py",
    "proxy/dataplane/kept.py",
    "proxy/dataplane/plane.py",
    "proxy/dataplane/refusals.py",
    "proxy/dataplane/retries.py",
    "proxy/dataplane/sending.py",
    "proxy/dataplane/targets.py",
    "proxy/dataplane/services/balancing.py",
    "proxy/dataplane/services/breaker.py",
    "proxy/dataplane/services/connection.py",
    "proxy/dataplane/services/ejection.py",
    "proxy/dataplane/services/pool.py",
    "proxy/dataplane/services/service.py",
    "proxy/dataplane/tunnel.py",
    "proxy/worker/access.py",
    "proxy/worker/tallies.py",
    "rules/compiled.py",
    "rules/matching/cookies.py",
    "rules/matching/entries.py",
    "rules/matching/hosts.py",
    "rules/matching/index.py",
    "rules/matching/path.py",
    "rules/matching/trie.py",
    "rules/table.py",
    "rules/units.py",
)
"""What one plain exchange runs through, and what those modules call most. Compiled as one group, so that calls and
attributes between them are C's."""
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup
setup(name="fig-compiled", packages=[], ext_modules=mypycify({files!r} + {flags!r}, opt_level="3", debug_level="0"))
"""
_FLAGS = ["--ignore-missing-imports", "--config-file="]


def tracked() -> list[Path]:
    """The project's files, relative to its root: what Git knows, or, outside of a checkout, the packages."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)  # noqa: S607
        return [
            path
            for name in listed.stdout.decode().split("\0")
            if name and (path := Path(name)) and (ROOT / path).is_file()
        ]
    folders = ("proxy", "rules", "shadow", "canary")
    return [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]


def build(folder: Path) -> None:
    """Copy the project to `folder` and compile it there. Raises CalledProcessError where the compiler refuses."""
    if folder.exists():
        shutil.rmtree(folder)
    for path in tracked():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    settings = folder / "pyproject.toml"
    aside = folder / "pyproject.aside"
    if settings.exists():
        settings.rename(aside)  # setuptools would read it as its own
    setup = folder / "setup_compiled.py"
    setup.write_text(_SETUP.format(files=list(HOT), flags=_FLAGS))
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, setup.name, "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, env=environment, check=True)  # noqa: S603 - our own interpreter
    setup.unlink()
    shutil.rmtree(folder / "build", ignore_errors=True)
    if aside.exists():
        aside.rename(settings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="is made anew; what is there is removed")
    folder = parser.parse_args().folder.resolve()
    if folder.exists() and not (folder / "rules").is_dir() and any(folder.iterdir()):
        print(f"{folder} holds something else; name a folder that does not exist", file=sys.stderr)
        return 2
    try:
        build(folder)
    except subprocess.CalledProcessError as exc:
        print(f"not compiled: {exc}; is there a C compiler, and is setuptools installed?", file=sys.stderr)
        return 1
    print(f"compiled {len(HOT)} modules; use them with PYTHONPATH={folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
