"""What commands say to a running control over its admin API, and what they tell people when it fails."""

from __future__ import annotations

import getpass
import ipaddress
import os
import re
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from proxy.settings import DEFAULT_ADMIN, Address, SettingsError
from rules.names import check_name
from rules.problems import one_line

_USER = re.compile(r"//[^/]*@")
"""User and password of a URL, which no message shows."""
TIMEOUT = 10.0
"""Seconds; a move waits up to one for the workers."""
COMMAND_TIMEOUT = 35.0
"""Seconds; control waits up to 30 for the shadower."""

AdminOption = Annotated[
    str, typer.Option("--admin", envvar="FIG_ADMIN", help="Where the admin API of `fig serve` listens.")
]
TokenOption = Annotated[
    str,
    typer.Option(
        "--token", envvar=["FIG_ADMIN_TOKEN", "FIG_READ_TOKEN"], help="Its token, if it has one.", show_default=False
    ),
]


class AdminError(Exception):
    """What went wrong, as a sentence for people, with the exit code of DESIGN section 7."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class UnreachableError(AdminError):
    """Nobody answers there, or fails to: what may be over in a moment, as when control is restarted."""


def check_route(name: str) -> None:
    """Raises AdminError for what can be the name of no route."""
    try:
        check_name(name)
    except ValueError as exc:
        shown = one_line(name[:80])
        raise AdminError(f"no route '{shown}'; a name is 1 to 64 letters, digits, '.', '_' or '-'", 2) from exc


def of_route(name: str, what: str) -> str:
    """The path of what the admin API knows, or does, of one route. Raises AdminError for what can be no route's name:
    in a path, it could be read as another route's (``b/../a``)."""
    check_route(name)
    return f"/api/routes/{quote(name, safe='')}/{what}"


@dataclass(frozen=True, slots=True)
class Admin:
    """One admin API."""

    address: str = DEFAULT_ADMIN
    token: str = ""
    timeout: float = TIMEOUT
    """Seconds that an answer may take."""

    @property
    def url(self) -> str:
        """``http://host:port``; an address that means "everywhere" is asked on loopback. Raises AdminError."""
        if self.address.startswith(("http://", "https://")):
            return self.address.rstrip("/")
        try:
            address = Address.parse(self.address, "--admin")
        except SettingsError as exc:
            raise AdminError(str(exc), 2) from exc
        try:
            if (ip := ipaddress.ip_address(address.host)).is_unspecified:
                address = Address("127.0.0.1" if ip.version == 4 else "::1", address.port)
        except ValueError:
            pass  # a name
        return f"http://{address}"

    def get(self, path: str, **query: str) -> Any:
        """The JSON answer. Raises AdminError."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a change that this user asks for. Raises AdminError."""
        return self._ask("POST", path, json={**body, "by": whoami()})

    def command(self, action: str, why: str = "", **arguments: Any) -> Any:
        """What an action of the shadower came to (proxy.shadower.commands). Raises AdminError."""
        patient = replace(self, timeout=COMMAND_TIMEOUT)
        return patient.post(f"/api/shadow/{action}", {"arguments": arguments, "why": why})

    def _ask(self, method: str, path: str, **given: Any) -> Any:
        token = self.token.strip()  # a file that held it ends with a line end
        if any(not 33 <= ord(char) <= 126 for char in token):  # or httpx would quote it
            raise AdminError("--token: a token is printable ASCII without blanks, and this one is not", 2)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.url
        shown = _USER.sub("//", url)
        try:
            # trust_env off: a proxy for the web has no business between this command and a loopback address
            with httpx.Client(base_url=url, headers=headers, timeout=self.timeout, trust_env=False) as client:
                answer = client.request(method, path, **given)
        except UnicodeEncodeError as exc:
            odd = one_line(exc.object[exc.start : exc.end])
            raise AdminError(f"what was given is not UTF-8 text: it holds {odd}", 2) from exc
        except httpx.InvalidURL as exc:
            raise AdminError(f"--admin: {shown} is no URL: {exc}", 2) from exc
        except httpx.HTTPError as exc:
            why = str(exc) or type(exc).__name__
            raise UnreachableError(
                f"control is not reachable at {shown} ({why}); "
                "is `fig serve` running there? if it is elsewhere: --admin HOST:PORT",
                2,
            ) from exc
        if answer.is_success:
            try:
                return answer.json()
            except ValueError as exc:
                raise AdminError(_no_api(answer, shown), 2) from exc
        if answer.is_server_error:
            raise UnreachableError(_sentence(answer, shown), 2)
        raise AdminError(_sentence(answer, shown), 1 if answer.status_code == 409 else 2)


def _sentence(answer: httpx.Response, url: str) -> str:
    try:
        message = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return _no_api(answer, url)
    if answer.status_code == 401:
        return f"{message}; set FIG_ADMIN_TOKEN (or --token)"
    return message


def _no_api(answer: httpx.Response, url: str) -> str:
    return f"{url} answered {answer.status_code} and is no admin API of fig; is --admin right?"


def whoami() -> str:
    """Who asks, for the history: the name of this machine's user."""
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
