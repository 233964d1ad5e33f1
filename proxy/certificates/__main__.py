"""``python -m proxy.certificates FOLDER``: whether fig could start with these.

Run by the supervisor, which imports no library that could fail. Everything that is wrong is said on standard error, and
the exit code is 2 when nothing can be used.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from proxy.certificates.following import survey
from proxy.certificates.pairs import PairError, find
from proxy.certificates.shown import Shown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proxy.certificates", description="Check a certificate folder.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        places = find(folder)
    except PairError as exc:
        print(f"fig: --certificates {exc}", file=sys.stderr)
        return 2
    found = survey(places, Shown())
    for flaw in found.flaws:
        print(f"fig: {flaw}", file=sys.stderr)
    for pair in found.pairs:
        for remark in pair.remarks(time.time()):
            print(f"fig: certificate '{pair.name}' {remark}", file=sys.stderr)
    if not found.pairs:
        print(
            f"fig: --certificates {folder}: holds no certificate that can be used; "
            "put a pair there, such as shop.crt with shop.key, both PEM",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
