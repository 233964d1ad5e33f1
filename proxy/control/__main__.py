"""`python -m proxy.control`: the process that holds rules, stages and history, and serves the admin API."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import uvloop

from proxy import logs
from proxy.control.once import once
from proxy.control.store import DATABASE, StoreError, short
from proxy.control.told import Told
from proxy.settings import NOWHERE, Address, SettingsError, check_tokens, parse_listen
from proxy.trace_settings import TraceSettings
from rules.problems import RulesError

_ANEW = "put a copy of it back, or move it away to begin anew, with every route where the rules file says"


def parse(arguments: list[str]) -> tuple[Told, bool]:
    """What was told, and whether only to publish. Raises SettingsError."""
    parser = argparse.ArgumentParser(prog="python -m proxy.control", allow_abbrev=False)
    parser.add_argument("-c", "--config", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--admin", required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--tls-listen", default=NOWHERE)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--lifeline", type=int)
    parser.add_argument("--ready", type=int)
    parser.add_argument("--once", action="store_true")
    given = parser.parse_args(arguments)
    traces = TraceSettings.parse(os.environ)
    traces.check_installed()
    told = Told(
        rules=given.config,
        state=given.state,
        admin=Address.parse(given.admin, "--admin"),
        listen=parse_listen(given.listen, "--listen"),
        tls_listen=parse_listen(given.tls_listen, "--tls-listen"),
        workers=given.workers,
        admin_token=os.environ.get("FIG_ADMIN_TOKEN", ""),
        read_token=os.environ.get("FIG_READ_TOKEN", ""),
        otlp=traces.endpoint,
        lifeline=given.lifeline,
        ready=given.ready,
    )
    check_tokens(told.admin, told.admin_token, told.read_token)
    return told, given.once


def main() -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can be heeded: the rules are about to be loaded anyway
    logs.configure("control")
    try:
        told, only_once = parse(sys.argv[1:])
        told.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if only_once:
            for warning in once(told).warnings:
                print(warning, file=sys.stderr)
        else:
            from proxy.control.control import run  # scipy and all: a second that `--once` need not wait

            uvloop.run(run(told))
    except RulesError as exc:
        print(exc, file=sys.stderr)
        return 2
    except SettingsError as exc:
        print(f"fig: {exc}", file=sys.stderr)
        return 2
    except StoreError as exc:
        print(f"fig: {told.state / DATABASE} cannot be used: {short(exc)}; {_ANEW}", file=sys.stderr)
        return 2
    except OSError as exc:
        print(f"fig: {_sentence(exc)}", file=sys.stderr)
        return 2
    return 0


def _sentence(exc: OSError) -> str:
    if exc.filename is None:  # an address, say, of which the message tells
        return str(exc)
    what = _ANEW if Path(os.fsdecode(exc.filename)).name == DATABASE else "it must be this user's to read and write"
    return f"{os.fsdecode(exc.filename)} cannot be used: {exc.strerror}; {what}"


if __name__ == "__main__":
    sys.exit(main())
