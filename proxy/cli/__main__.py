"""`python -m proxy.cli`: the command line where the console script `fig` is not on the path."""

from __future__ import annotations

from proxy.cli import main

main()
