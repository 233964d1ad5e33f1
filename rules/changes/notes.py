"""What a change does besides sending requests elsewhere: buckets drawn anew, copies that begin or end, evidence that is
no longer about what runs. One sentence each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.changes.destination import counts_alike, read_from
from rules.changes.edits import ABSENT, KeyChange
from rules.quantities import share_text
from rules.stages import Stage
from rules.table import CompiledRoute

_LEARNT = (Stage.SHADOW, Stage.CANARY)


def position_text(route: CompiledRoute) -> str:
    """``canary 5%``, ``shadow``."""
    return f"canary {share_text(route.share)}" if route.stage is Stage.CANARY else route.stage.value


def notes_of_route(
    before: CompiledRoute | None, after: CompiledRoute | None, keys: Sequence[KeyChange] = ()
) -> tuple[str, ...]:
    """Of a route that was removed, added, renamed or changed."""
    if before is None:
        return tuple(_begins(after)) if after is not None else ()
    if after is None:
        return tuple(_ends(before))
    return tuple(_goes_on(before, after, keys))


def _begins(route: CompiledRoute) -> Iterator[str]:
    if route.stage.copies and route.own is None:
        yield f"it begins at {position_text(route)}: {_copies(route)}"


def _ends(route: CompiledRoute) -> Iterator[str]:
    if route.stage.copies and route.own is None:
        yield "copies to the other side end, and what was learnt of the route counts no more"


def _goes_on(before: CompiledRoute, after: CompiledRoute, keys: Sequence[KeyChange]) -> Iterator[str]:
    if before.name != after.name:
        yield from _renamed(before, after)
    elif not counts_alike(before, after):
        yield from _counted_anew(before, after)
    roots = {change.path[0] for change in keys}
    if before.issues != after.issues and before.unit_of is not None and after.unit_of is not None:
        yield (
            f"fig issues the cookie {after.issues} to requests without a unit"
            if after.issues
            else "fig issues no unit any longer: legacy answers requests without one"
        )
    if before.stage.copies != after.stage.copies and after.own is None:
        yield f"now {_copies(after)}" if after.stage.copies else "nobody gets copies any longer"
    if roots & {"stage", "share"} and before.name == after.name:
        said = "share" if "stage" not in roots else "stage"
        yield f"the file's {said} changed, so it applies as soon as the file is loaded, wherever the route stands now"
    elif "rollout" in roots and before.name == after.name:
        yield "the route stays where it stands; its rollout goes on by the changed plan"
    if "candidate" in roots and after.stage in _LEARNT:
        yield "another candidate is another attempt: what was learnt of the former one does not count"
    writes = [change for change in keys if change.path == ("writes",)]
    if writes and after.stage.copies and before.stage.copies:
        ended = writes[0].after is ABSENT
        yield "its writes reach one side only, from now on" if ended else "its writes are journaled from now on"


def _renamed(before: CompiledRoute, after: CompiledRoute) -> Iterator[str]:
    if before.spec.salt != after.spec.salt and (before.spec.unit or after.spec.unit):
        yield (
            f"THE SALT CHANGES WITH THE NAME: every unit's bucket is drawn anew; 'group: {before.spec.salt}' on the "
            "route keeps each unit where it is"
        )
    if read_from(before.spec.unit) != read_from(after.spec.unit):
        yield from _counted_anew(before, after)
    if after.own is None:
        yield (
            f"fig knows no route '{after.name}': it begins where the file says ({position_text(after)}), without the "
            f"history and evidence of '{before.name}'"
        )


def _counted_anew(before: CompiledRoute, after: CompiledRoute) -> Iterator[str]:
    first, second = read_from(before.spec.unit), read_from(after.spec.unit)
    if "nowhere" in (first, second):
        if first != second and second == "nowhere":
            yield "without a unit legacy answers every request in stage canary"
        return
    if first != second:
        yield f"units are counted anew: they are read from {second}, no longer from {first}"
    else:
        yield f"units are counted anew: the salt is '{after.spec.salt}', no longer '{before.spec.salt}'"


def _copies(route: CompiledRoute) -> str:
    other = {Stage.SHADOW: route.candidate, Stage.LIVE: route.legacy}.get(route.stage)
    receiver = f"'{other}' gets" if other is not None else "the side that does not answer gets"
    part = "" if route.sample == 1_000_000 else f" ({share_text(route.sample)} of the reads)"
    writes = ", writes by the journal" if route.writes is not None else ""
    return f"{receiver} copies{part}{writes}"


def notes_of_setting(path: tuple[str, ...], asking: Sequence[CompiledRoute]) -> tuple[str, ...]:
    """Of a key outside of the routes. `asking` are the routes that it bears on, as they are afterwards."""
    names = _names(asking)
    if path[0] == "services":
        learning = [route for route in asking if route.candidate == path[1] and route.stage in _LEARNT]
        if learning:
            return (
                f"{_names(learning)}: another definition of the candidate is another attempt; what was learnt of the "
                "former one does not count",
            )
    if path[0] == "gates" and asking:
        return (f"{names}: evidence begins anew, for the gate is another",)
    if path[0] == "trusted_proxies":
        return ("other proxies are believed, so a client may have another address than before",)
    if path[0] == "force":
        return ("who may choose a side by header or cookie changes",)
    return ()


def starving(names: Sequence[str], most: int = 3) -> tuple[str, ...]:
    """Of routes that get no request afterwards."""
    if not names:
        return ()
    more = f" and {len(names) - most} more" if len(names) > most else ""
    told = ", ".join(f"'{name}'" for name in names[:most]) + more
    return (f"{told} {'gets' if len(names) == 1 else 'get'} no request: earlier routes take them all",)


def _names(routes: Sequence[CompiledRoute], most: int = 4) -> str:
    texts = [f"'{route.name}'" for route in routes[:most]]
    more = len(routes) - len(texts)
    return f"route{'' if len(routes) == 1 else 's'} " + ", ".join(texts) + (f" and {more} more" if more else "")
