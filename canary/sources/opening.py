"""From what the rules file says of a source to something that can be asked."""

from __future__ import annotations

from canary.source_spec import Source as SourceSpec
from canary.source_spec import SourceKind
from canary.sources.files import File
from canary.sources.source import Source, SourceError
from canary.steps import Answer


def opened(spec: SourceSpec) -> Source:
    """Never raises: what cannot be opened says why whenever it is asked."""
    try:
        if spec.kind is SourceKind.PROMETHEUS:
            from canary.sources.prometheus import Prometheus  # a fifth of a second: only for whoever asks one

            return Prometheus(spec)
        if spec.kind is SourceKind.SQL:
            from canary.sources.sql import Sql  # as long again

            return Sql(spec)
        return File(spec)
    except SourceError as exc:
        return _Broken(str(exc))
    except Exception as exc:  # control must not end of it; its words may hold the URL
        return _Broken(f"{spec.place} cannot be opened: {type(exc).__name__}")


class _Broken:
    """Answers nothing."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def ask(self, question: object, now: float) -> Answer:
        raise SourceError(self._why)

    async def close(self) -> None:
        """Nothing was opened."""
