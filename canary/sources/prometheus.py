"""Prometheus, and what speaks its HTTP API: one range query a side, read whole or not at all.

A number dated t stands for the step that ends at t. An answer with warnings is a partial one (Thanos and Mimir say so
there, VictoriaMetrics by `isPartial`): a store that is away could be the one that holds the failures.
Source: https://prometheus.io/docs/prometheus/latest/querying/api/ (range queries, format of answers).
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Coroutine, Iterable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from canary.query_spec import Reduction, filled
from canary.source_spec import Source as SourceSpec
from canary.sources import rows
from canary.sources.source import Question, SourceError
from canary.steps import Answer

LARGEST = 8 * 1024 * 1024
"""Bytes of one answer: 120 steps of one series are 4 KB."""
SKEW = 30.0
"""Seconds that the source's clock may differ from the one here, as its Date field tells."""


class _Found(msgspec.Struct):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    resultType: str = ""  # noqa: N815 (the API's name)
    result: list[msgspec.Raw] = []


class _Body(msgspec.Struct):
    status: str = ""
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = []
    isPartial: bool = False  # noqa: N815 (the API's name)


class Prometheus:
    """One server, a connection a question: one that is kept may be closed by the server just when the next is asked,
    about a step later, and that would be a fault of the metric."""

    def __init__(self, spec: SourceSpec) -> None:
        """Raises SourceError for a file of authorities that cannot be read."""
        assert spec.url is not None
        self._spec = spec
        try:
            verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=spec.ca) if spec.ca else True
        except (OSError, ssl.SSLError) as exc:
            raise SourceError(f"'ca': {spec.ca}: {exc}") from exc
        given = httpx.URL(spec.url)
        self._client = httpx.AsyncClient(
            auth=(given.username, given.password) if given.userinfo else None,
            headers={"accept-encoding": "identity"} | dict(spec.headers),
            timeout=spec.timeout,
            limits=httpx.Limits(max_keepalive_connections=0),
            verify=verify,
            trust_env=False,
        )
        # Without user and password: httpx writes the URLs that it asks into the log.
        self._url = str(given.copy_with(userinfo=b"")).rstrip("/") + "/api/v1/query_range"

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, question: Question, now: float) -> Answer:
        metric = question.metric
        asked = [(side, text) for side in (0, 1) for text in (metric.text(side), metric.count) if text is not None]
        answers = await _all(self._range(question, side, text, now) for side, text in asked)
        answer = Answer.empty(question.stretch)
        per_side = len(asked) // 2
        for side in (0, 1):
            means = answers[side * per_side]
            counts = answers[side * per_side + 1] if per_side == 2 else None
            for place, mean in means.items():
                n = 1.0 if counts is None else counts.get(place, 0.0)
                if n > 0:
                    # The squares of a rate's observations, each 0 or 1, are these themselves.
                    squares = n * mean if metric.measure is Reduction.RATE else math.nan
                    answer.add(side, place, n, n * mean, squares)
        return answer

    async def _range(self, question: Question, side: int, text: str, now: float) -> dict[int, float]:
        """The numbers by place in the stretch. Not-a-number (none of none) is no number. Infinity is no answer: some of
        none is as bad as can be, and must not be passed over as if there had been nothing."""
        name, stretch = question.side(side), question.stretch
        values = {"side": name, "route": question.route, "step": f"{question.metric.step:.0f}s"}
        form = {
            "query": filled(text, values),
            "start": f"{stretch.first * stretch.length:.3f}",
            "end": f"{stretch.end:.3f}",
            "step": f"{stretch.length:.0f}",
            "timeout": f"{self._spec.timeout * 1000:.0f}ms",  # "0.5s" is a duration to nobody there
        }
        found = _series(await self._body(form, now), name)
        numbers = {}
        for time, number in found:
            place = round(time / stretch.length) - stretch.first
            if not (0 <= place < len(stretch) and abs(time - (place + stretch.first) * stretch.length) < 0.5):
                raise SourceError(f"a number of {name} is dated {time:.3f}, which was not asked for")
            try:
                value = float(number)
            except ValueError:
                raise SourceError(f"a value of {name} is '{number}', which is no number") from None
            if math.isinf(value):
                raise SourceError(
                    f"a value of {name} is {number}, as where something is divided by nothing; say in the query "
                    "what that means: clamp_max(..., 100), or > 0 behind what divides"
                )
            if abs(value) > rows.LARGEST:
                raise SourceError(f"a value of {name} at {time:.3f} is {number}, {rows.TOO_LARGE}")
            if not math.isnan(value):
                numbers[place] = value
        return numbers

    async def _body(self, form: dict[str, str], now: float) -> bytes:
        try:
            async with asyncio.timeout(self._spec.timeout), self._client.stream("POST", self._url, data=form) as answer:
                coding = answer.headers.get("content-encoding", "identity")
                if coding.strip().lower() != "identity":  # a few KB of it may unfold to gigabytes
                    raise SourceError(f"answered in a content coding ({coding}), which was not asked for")
                content = bytearray()
                async for chunk in answer.aiter_raw():
                    content += chunk
                    if len(content) > LARGEST:
                        raise SourceError(f"an answer is larger than {LARGEST // 1024**2} MB; ask for one series")
        except (TimeoutError, httpx.TimeoutException) as exc:
            raise SourceError(f"no answer within {self._spec.timeout:g} s") from exc
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as exc:
            raise SourceError(f"cannot be asked: {_cause(exc)}") from exc
        if answer.status_code != 200:
            raise SourceError(_refused(answer.status_code, bytes(content)))
        _check_clock(answer.headers.get("date"), now)
        return bytes(content)


async def _all(asking: Iterable[Coroutine[Any, Any, dict[int, float]]]) -> list[dict[int, float]]:
    """All at once, and all of them to their end; of several failures the first in order, not in time, is told."""
    found = await asyncio.gather(*asking, return_exceptions=True)
    numbers = []
    for each in found:
        if isinstance(each, BaseException):
            raise each
        numbers.append(each)
    return numbers


def _series(content: bytes, name: str) -> list[tuple[float, str]]:
    """The values of the one series of an answer; none where there is no series. Raises SourceError."""
    try:
        body = msgspec.json.decode(content, type=_Body)
        if body.status != "success" or body.data is None:
            raise SourceError(f"answered '{body.status}': {body.error}")
        if body.isPartial or body.warnings:
            why = body.warnings[0] if body.warnings else "isPartial"
            raise SourceError(f"the answer is partial: {why}")
        if body.data.resultType != "matrix":
            raise SourceError(f"answered a {body.data.resultType} in place of a range of numbers")
        if len(body.data.result) > 1:
            some = [msgspec.json.decode(each, type=_Found).metric for each in body.data.result[:2]]
            shown = " and ".join(str(labels) for labels in some)
            raise SourceError(
                f"{len(body.data.result)} series for {name}; make them one by sum(...) or more labels: {shown}"
            )
        return msgspec.json.decode(body.data.result[0], type=_Found).values if body.data.result else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise SourceError(f"the answer is not of Prometheus' form: {exc}") from exc


def _refused(status: int, content: bytes) -> str:
    try:
        why = msgspec.json.decode(content, type=_Body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        why = ""
    advice = {401: "check 'headers'", 403: "check 'headers'", 404: "check 'url'"}.get(status, "")
    if 300 <= status < 400:
        advice = "a redirect is not followed; give the URL of the API itself"
    return f"answered {status}: {why or advice or 'no reason'}"


def _check_clock(date: str | None, now: float) -> None:
    """Raises SourceError: with clocks apart, what is asked for as the newest step is another one there."""
    if date is None:
        return
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return
    if abs(theirs - now) > SKEW:
        raise SourceError(f"its clock differs by {theirs - now:+.0f} s from the one here; set the clocks right")


def _cause(exc: BaseException) -> str:
    """The innermost words of a failure to connect; httpx's own are 'All connection attempts failed'."""
    while exc.__cause__ is not None or exc.__context__ is not None:
        exc = exc.__cause__ or exc.__context__ or exc
    return str(exc) or type(exc).__name__
