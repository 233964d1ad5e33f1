"""A real browser under test: chromium without a window, driven over its DevTools protocol, as a reader would use it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE = 20.0
"""Seconds for a page to load or a command to be answered."""


class Browser:
    """One page of it. What it complained about and what it asked the network for is noted from the beginning."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions, breaches of the content security policy."""
        self.requests: list[str] = []
        """URLs, the page's own among them."""
        self.reading = asyncio.create_task(self._read())

    async def open(self, page: Path) -> None:
        self._loaded.clear()
        await self.ask("Page.navigate", url=page.absolute().as_uri())
        await asyncio.wait_for(self._loaded.wait(), PATIENCE)

    async def see(self, *, width: int = 1280, dark: bool = False, script: bool = True) -> None:
        """How the page is looked at from now on."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        await self.ask("Emulation.setScriptExecutionDisabled", value=not script)

    async def value(self, expression: str) -> Any:
        """What an expression comes to in the page. It is the protocol's own, so no policy of the page forbids it."""
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    async def picture(self, path: Path) -> None:
        """The page as far as it is on the screen."""
        answer = await self.ask("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(answer["data"]))

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(self._answers[number], PATIENCE)

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                future = self._answers.pop(told["id"])
                if "error" in told:
                    future.set_exception(AssertionError(told["error"]))
                else:
                    future.set_result(told["result"])
                continue
            parameters = told["params"]
            match told["method"]:
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Network.requestWillBeSent":
                    self.requests.append(parameters["request"]["url"])
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(parameters["exceptionDetails"]))
                case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                    self.complaints.append(str(parameters["entry"]["text"]))
                case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                    self.complaints.append(str(parameters["args"]))


@contextlib.asynccontextmanager
async def browsing(program: str, folder: Path) -> AsyncIterator[Browser]:
    """A browser that keeps what it must in `folder`, ended at the end."""
    (folder / "DevToolsActivePort").unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"),
        *("--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await asyncio.wait_for(_port(folder / "DevToolsActivePort"), PATIENCE)
        async with aiohttp.ClientSession(trust_env=False) as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = await answer.json()
            [page] = [each for each in pages if each["type"] == "page"]
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                browser = Browser(socket)
                for part in ("Page", "Runtime", "Log", "Network"):
                    await browser.ask(f"{part}.enable")
                yield browser
                browser.reading.cancel()
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _port(path: Path) -> int:
    while not path.exists() or not path.read_text().strip():
        await asyncio.sleep(0.05)
    return int(path.read_text().split()[0])
