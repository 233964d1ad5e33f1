"""One run's programs and files: how each is started, where it listens, what it writes.

The commands are those of docker-compose.yml, on free ports of the loopback.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from proxy.demo import example
from proxy.demo.pace import Pace
from proxy.demo.processes import Company, Program, StartError, can_listen, free_ports, wait_until_well
from proxy.demo.story import CART, REVIEWS, Fault

SLOW_CART = 85
"""Milliseconds that an answer of cart's slow release usually waits; its first release takes 5."""
RELEASE_2 = "cart-release-2"
WORKERS = 2
DRAIN = "3s"
PATIENCE = 6.0
"""Seconds that a program gets to end before it is killed; longer than fig's drain."""
FIG = (sys.executable, "-m", "proxy.cli")
NOTHING_TO_READ = 2
"""Exit code of a report that could not be made; all others say what it found."""
Command = list[str | Path]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    pace: Pace
    faults: frozenset[Fault]
    port: int | None = None
    """Where the shop listens; any free port when None."""
    keep: bool = False
    seed: int = 1


class Shop:
    """A monolith, four services, fig before them, and shoppers. Call `close` whatever happens."""

    def __init__(self, plan: Plan) -> None:
        """Raises StartError when the port is taken, ExampleError when there is no example."""
        self._plan = plan
        self._groups = 0
        self._pinnacle = example.find()
        if plan.port is not None and not can_listen(plan.port):
            raise StartError(f"port {plan.port} is in use; choose another with --port, or leave it out for a free one")
        names = [*example.SERVICES, RELEASE_2, "fig", "admin"]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        if plan.port is not None:
            self._ports["fig"] = plan.port
        self.folder = Path(tempfile.mkdtemp(prefix="fig-demo-"))
        self.rules = self.folder / "rules" / example.RULES
        self.report = self.folder / "shadow-report.html"
        self.certificate = self.folder / "checkout-certificate.json"
        self.canary_report = self.folder / "cart-canary-report.html"
        self.state = self.folder / "state"
        self.data = self.folder / "data"
        for path in (self.rules.parent, self.folder / "logs"):
            path.mkdir()
        self._company = Company(self.folder / "logs")
        self.admin = httpx.AsyncClient(base_url=self.url("admin"), timeout=2.0)

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """What a run may leave for its reader, by name."""
        return (
            ("shadow report", self.report),
            ("canary report of the cart", self.canary_report),
            ("certificate", self.certificate),
        )

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    @property
    def crashed(self) -> list[Program]:
        """Programs that ended by themselves."""
        return self._company.crashed

    def restarted(self) -> list[str]:
        """Processes of fig that crashed and were started anew, by its supervisor's log."""
        lines = (json.loads(line) for line in self._company.log_of("fig") if line.startswith("{"))
        return [f"fig's {line['child']}" for line in lines if line.get("event") == "crashed"]

    async def open(self) -> None:
        """All programs at once, as they share the cores; returns when every one is well. Raises StartError."""
        source = (self._pinnacle / example.RULES).read_text(encoding="utf-8")
        example.put(self.rules, example.rules_for(source, self._ports, self._plan.pace))
        flags = {REVIEWS: ["--bug"] if Fault.REVIEWS_BUG in self._plan.faults else []}
        services = [await self._serve(name, name, *flags.get(name, [])) for name in example.SERVICES]
        listen, admin = (self.url(name).removeprefix("http://") for name in ("fig", "admin"))
        told: Command = ["-c", self.rules, "--state", self.state, "--listen", listen, "--admin", admin]
        fig = await self._company.start("fig", [*FIG, "serve", *told, "--workers", str(WORKERS), "--drain", DRAIN])
        await asyncio.gather(*map(self._well, services), wait_until_well(self.admin, fig, "/readyz"))

    async def _serve(self, name: str, script: str, *flags: str) -> Program:
        """Start one of Pinnacle's programs under `name`."""
        program = self._pinnacle / f"{script}.py"
        told: Command = ["--port", str(self._ports[name]), "--data", self.data / name, *flags]
        return await self._company.start(name, [sys.executable, program, *told])

    async def _well(self, program: Program) -> None:
        await wait_until_well(self.admin, program, f"{self.url(program.name)}/healthz")

    async def send_shoppers(self, rate: float) -> Program:
        """`rate` in requests per second, all together. Each group chooses by a seed of its own: order numbers that come
        again would be refused."""
        seed = self._plan.seed + self._groups
        self._groups += 1
        told = ["--url", self.url("fig"), "--rate", f"{rate:g}"]
        told += ["--shoppers", str(self._plan.pace.shoppers), "--seed", str(seed)]
        program = self._pinnacle / "shoppers.py"
        return await self._company.start("shoppers", [sys.executable, program, *told], reads_stdout=True)

    async def deploy_cart(self) -> float:
        """Cart's second release: started beside the first, then the rules file points to it.

        Gives when the file was changed, in seconds since the epoch. Raises StartError.
        """
        flags = ["--slow", str(SLOW_CART)] if Fault.SLOW_CART in self._plan.faults else []
        await self._well(await self._serve(RELEASE_2, CART, *flags))
        rules = self.rules.read_text(encoding="utf-8")
        edited = time.time()
        example.put(self.rules, example.at_url(rules, CART, self.url(RELEASE_2)))
        return edited

    async def write_report(self) -> tuple[str, str]:
        """`fig shadow report`, as HTML into `report`; gives its JSON, and what went wrong, if anything did."""
        told: Command = ["shadow", "report", "--json", "--html", self.report, "--state", self.state, "-c", self.rules]
        program = await self._company.start("fig-shadow-report", [*FIG, *told], reads_stdout=True)
        program.ending = True
        printed = "".join([line async for line in program.lines()])
        if await program.process.wait() == NOTHING_TO_READ or not printed:
            return "", f"`fig shadow report` failed: {program.last_words}"
        return printed, ""

    async def write_canary_report(self) -> None:
        """`fig canary report` of the cart, as HTML into `canary_report`; what goes wrong leaves no file."""
        admin = self.url("admin").removeprefix("http://")
        told: Command = ["canary", "report", CART, "--html", self.canary_report, "--admin", admin]
        program = await self._company.start("fig-canary-report", [*FIG, *told], reads_stdout=True)
        program.ending = True
        async for _ in program.lines():
            pass
        await program.process.wait()

    async def certify(self, route: str) -> tuple[str, bool]:
        """`fig shadow certify` of a route into `certificate`, and `fig shadow verify` of that against the state folder.

        Gives the certificate's text, empty where there is none, and whether it holds.
        """
        admin = self.url("admin").removeprefix("http://")
        told: Command = ["shadow", "certify", route, "--json", "-o", self.certificate, "--state", self.state]
        program = await self._company.start("fig-shadow-certify", [*FIG, *told, "--admin", admin], reads_stdout=True)
        program.ending = True
        printed = "".join([line async for line in program.lines()])
        if await program.process.wait() == NOTHING_TO_READ or not printed:
            return "", False
        told = ["shadow", "verify", self.certificate, "--state", self.state]
        program = await self._company.start("fig-shadow-verify", [*FIG, *told], reads_stdout=True)
        program.ending = True
        async for _ in program.lines():
            pass
        return printed, await program.process.wait() == 0

    async def close(self) -> None:
        """End every program; of the files, report, certificate, rules and logs stay."""
        await self.admin.aclose()
        await self._company.end(PATIENCE, first=("shoppers", "fig"))
        for path in (self.state, self.data):
            shutil.rmtree(path, ignore_errors=True)
