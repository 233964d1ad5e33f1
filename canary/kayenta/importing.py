"""A Kayenta canary configuration as `sources:` and `gates:` of a rules file, and a list of all that has no counterpart.

Everything that is read is taken out of the document; what is left over is not carried, and said. So a key that this
module does not know cannot be lost in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from canary.kayenta.terms import GROUP, KayentaGate
from canary.query_spec import problems_between
from canary.source_spec import Source, SourceKind
from canary.spec import Gate, Metric

SOURCE = "prometheus"
_ADDRESS = "http://prometheus:9090"
_PREFIX = "PromQL:"
_VARIABLE = re.compile(r"\\?\$\{\s*([A-Za-z0-9_.\-\[\]']+)\s*\}")
_PLACEHOLDER = re.compile(r"\$(?=[A-Za-z_$])")
_IN_SIDE = "\0side\0"
_STEP = 60
"""Seconds between two values where the configuration does not say."""


class ImportFailed(Exception):  # noqa: N818 (said to people as it stands)
    """No Kayenta configuration; says why."""


@dataclass(frozen=True, slots=True)
class NotCarried:
    """Something that the draft does not do."""

    path: str
    why: str

    def __str__(self) -> str:
        return _in_a_line(f"{self.path}: {self.why}")


@dataclass(frozen=True, slots=True)
class Draft:
    """What an import yields."""

    content: dict[str, Any]
    """`sources` and `gates`, as plain data that a rules file takes; empty where no metric could be carried."""
    notes: tuple[str, ...]
    not_carried: tuple[NotCarried, ...]


@dataclass(slots=True)
class _Taken:
    """A JSON object of which every key is either taken or left over."""

    path: str
    values: dict[str, Any]
    inner: dict[str, _Taken] = field(default_factory=dict)
    wrong: list[NotCarried] = field(default_factory=list)

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """The value of a key, which is gone then; `default` where it is absent, null or of another kind."""
        value = self.values.pop(key, None)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in _kinds(kind)):
            self.wrong.append(NotCarried(f"{self.path}{key}", f"{_shown(value)} is not what Kayenta takes there"))
            return default
        return value

    def inside(self, key: str) -> _Taken:
        """An object within; empty where there is none."""
        found = self.take(key, dict, {})
        return self.inner.setdefault(key, _Taken(f"{self.path}{key}.", dict(found)))

    def left(self) -> Iterator[NotCarried]:
        yield from self.wrong
        for key, value in self.values.items():
            if value not in (None, {}, [], ""):
                yield NotCarried(f"{self.path}{key}", f"{_shown(value)} has no counterpart")
        for one in self.inner.values():
            yield from one.left()


def _kinds(kind: type | tuple[type, ...]) -> tuple[type, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 2000 else f"{text[:2000]}..."


def _in_a_line(text: str) -> str:
    """Without what would end a comment, or what a terminal would act on."""
    return "".join(character if character.isprintable() else " " for character in text)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:60] or "unnamed"


def import_config(document: Any, *, legacy: str = "", candidate: str = "", values: Mapping[str, str] = {}) -> Draft:
    """The draft of a canary configuration, or of a request that holds one (`canaryConfig`, `executionRequest`).

    `legacy` and `candidate` name the sides as the metrics' source does; else the request's scopes do. `values` are what
    the queries' variables stand for. Raises ImportFailed.
    """
    if not isinstance(document, dict):
        raise ImportFailed("not a Kayenta configuration: no JSON object")
    root = _Taken("", dict(document))
    config, request = root, root.inside("executionRequest")
    if isinstance(document.get("canaryConfig"), dict):
        config = root.inside("canaryConfig")
    metrics = config.take("metrics", list)
    if metrics is None:
        raise ImportFailed("not a Kayenta configuration: it has no list of 'metrics'")
    return _Import(root, config, request, (legacy, candidate), values).draft(metrics)


class _Import:
    """One import."""

    def __init__(
        self, root: _Taken, config: _Taken, request: _Taken, sides: tuple[str, str], values: Mapping[str, str]
    ) -> None:
        self.root, self.config, self.request, self.sides, self.values = root, config, request, sides, values
        self.notes: list[str] = []
        self.lost: list[NotCarried] = []
        self.names: set[str] = set()
        self.templates = config.take("templates", dict, {})
        self.used: set[str] = set()
        self.scopes = {
            name: _Taken(f"{request.path}scopes.{name}.", dict(scope))
            for name, scope in request.take("scopes", dict, {}).items()
            if isinstance(scope, dict)
        }
        self._known = {name: self._scope(scope) for name, scope in self.scopes.items()}

    def draft(self, metrics: list[Any]) -> Draft:
        self._about()
        carried = [found for number, one in enumerate(metrics) if (found := self._metric(number, one)) is not None]
        gate = {"method": "kayenta", "kayenta": self._terms(carried), "metrics": carried}
        name = _slug(self.config.take("name", str, "kayenta"))
        content: dict[str, Any] = {}
        if any(one.get("required", True) for one in carried):
            try:
                Gate.model_validate(gate)
            except ValidationError as exc:
                self.lost.append(NotCarried("gate", f"{_said(exc)}; mend it by hand"))
            content = {
                "sources": {SOURCE: {"kind": str(SourceKind.PROMETHEUS), "url": _ADDRESS}},
                "gates": {name: gate},
            }
            self.notes += [
                f"write where Prometheus is: {_ADDRESS} is a guess; Kayenta has that in its accounts",
                "a required metric without data is a fault: mustHaveData is always on",
            ]
        else:
            self.lost += [NotCarried("metrics", f"{_shown(one)}: watched only") for one in carried]
        for key in sorted(self.templates.keys() - self.used):
            self.lost.append(NotCarried(f"templates.{key}", f"{_shown(self.templates[key])} is used by no metric"))
        left = [*self.root.left(), *(each for scope in self.scopes.values() for each in scope.left())]
        return Draft(content, tuple(self.notes), (*self.lost, *left))

    def _about(self) -> None:
        description = self.config.take("description", str)
        if description:
            self.notes.append(f"description: {description}")
        judge = self.config.inside("judge")
        name = judge.take("name", str, "NetflixACAJudge-v1.0")
        if not name.startswith("NetflixACAJudge"):
            self.lost.append(
                NotCarried("judge.name", f"{_shown(name)} is another judge; this gate judges as Netflix's")
            )

    def _scope(self, scope: _Taken) -> dict[str, Any]:
        """The names of both sides, what else its variables stand for, and the step, of one scope of the request."""
        control, experiment = scope.inside("controlScope"), scope.inside("experimentScope")
        found: dict[str, Any] = {"sides": tuple(one.take("scope", str, "") for one in (control, experiment))}
        given = [one.take("location", str) for one in (control, experiment)]
        if given[0] is not None and given[0] == given[1]:
            found["location"] = given[0]
        elif any(given):
            self.lost.append(NotCarried(f"{scope.path}location", f"{_shown(given)} differs between the sides"))
        steps = [one.take("step", int) for one in (control, experiment)]
        found["step"] = next((step for step in steps if step), None)
        return found

    def _terms(self, metrics: list[dict[str, Any]]) -> dict[str, Any]:
        """The gate's block `kayenta`: thresholds and weights."""
        classifier = self.config.inside("classifier")
        scores, asked = classifier.inside("scoreThresholds"), self.request.inside("thresholds")
        terms: dict[str, Any] = {"points": KayentaGate().points}
        self.notes.append(
            f"judged once, after {terms['points']} points; write how many the analysis lasts under 'points'"
        )
        for theirs, ours in (("pass", "passing"), ("marginal", "marginal")):
            first, other = asked.take(theirs, (int, float)), scores.take(theirs, (int, float))
            if first is not None and other is not None and first != other:
                self.lost.append(NotCarried(f"classifier.scoreThresholds.{theirs}", f"{other:g}; the request's counts"))
            value = other if first is None else first
            if value is not None:
                terms[ours] = float(value)
        given = _Taken("classifier.groupWeights.", dict(classifier.take("groupWeights", dict, {})))
        weights = {name: float(given.take(name, (int, float), -1)) for name in list(given.values)}
        weights = {name: weight for name, weight in weights.items() if weight >= 0}
        self.lost += given.left()
        groups = {group for one in metrics for group in one["kayenta"].get("groups", [GROUP])}
        for name in sorted(weights.keys() - groups):
            self.lost.append(NotCarried(f"classifier.groupWeights.{name}", f"{weights[name]:g}; no metric is in it"))
        kept = {name: weight for name, weight in weights.items() if name in groups}
        total = sum(kept.values())
        if kept and (total > 100 or (set(kept) == groups and abs(total - 100) > 1e-6)) and total > 0:
            self.lost.append(NotCarried("classifier.groupWeights", f"sum to {total:g}; scaled to 100"))
            kept = {name: weight * 100 / total for name, weight in kept.items()}
        return terms | ({"groups": kept} if kept else {})

    def _metric(self, number: int, value: Any) -> dict[str, Any] | None:
        """One metric; None where it is not carried."""
        path = f"metrics[{number}]"
        if not isinstance(value, dict):
            self.lost.append(NotCarried(path, f"{_shown(value)} is no metric"))
            return None
        metric = _Taken(f"{path}.", dict(value))
        name, scope = metric.take("name", str, ""), metric.take("scopeName", str, "default")
        known = self._known.get(scope, {})
        query, why = self._query(metric, known)
        if query is None:
            self.lost.append(NotCarried(path, f"{why}: {_shown(value)}"))
            return None
        sides = self.sides if all(self.sides) else known.get("sides", ("", ""))
        found: dict[str, Any] = {"name": self._name(name, path), "kind": "query", "source": SOURCE, "query": query}
        found["step"] = f"{known.get('step') or _STEP}s"
        if all(sides) and sides[0] != sides[1]:
            found["sides"] = {"legacy": sides[0], "candidate": sides[1]}
        else:
            self.notes.append(f"{found['name']}: say under 'sides' what Prometheus calls legacy and the candidate")
        found |= self._analysis(metric)
        try:
            problems = problems_between(Metric.model_validate(found), Source(kind=SourceKind.PROMETHEUS, url=_ADDRESS))
        except ValidationError as exc:
            problems = [("", _said(exc))]
        if problems:
            self.lost.append(NotCarried(path, f"{' '.join(problems[0]).strip()}: {_shown(value)}"))
            return None
        self.lost += metric.left()
        return found

    def _name(self, name: str, path: str) -> str:
        slug = wanted = _slug(name)
        number = 2
        while slug in self.names:
            slug, number = f"{wanted}-{number}", number + 1
        self.names.add(slug)
        if slug != name:
            self.notes.append(f"{path} {_shown(name)} is called {slug}")
        return slug

    def _analysis(self, metric: _Taken) -> dict[str, Any]:
        """How it is classified: keys of the metric and its block `kayenta`."""
        terms = metric.inside("analysisConfigurations").inside("canary")
        block: dict[str, Any] = {"direction": terms.take("direction", str, "either")}
        block["nan"] = self._choice(terms, "nanStrategy", {"remove": "remove", "none": "remove", "replace": "replace"})
        groups = [str(group) for group in metric.take("groups", list, [])]
        effect, sizes = terms.inside("effectSize"), dict[str, Any]()
        if self._choice(effect, "measure", {"meanRatio": "mean_ratio", "cles": "cles"}) == "cles":
            sizes["measure"] = "cles"
        for theirs in ("allowedIncrease", "allowedDecrease", "criticalIncrease", "criticalDecrease"):
            value = effect.take(theirs, (int, float))
            if value is not None:
                sizes[re.sub("([ID])", r"_\1", theirs).lower()] = float(value)
        outliers = terms.inside("outliers")
        if self._choice(outliers, "strategy", {"keep": "keep", "remove": "remove"}) == "remove":
            block |= {"outliers": "remove", "outlier_factor": float(outliers.take("outlierFactor", (int, float), 3.0))}
        else:
            outliers.take("outlierFactor", (int, float))
        terms.take("mustHaveData", bool)
        critical, muted = terms.take("critical", bool, False), terms.take("muted", bool, False)
        if not groups and not critical:
            self.notes.append(f"{metric.path.rstrip('.')} is in no group, so it is in no score: watched only")
            muted = True
        block |= ({"groups": groups} if groups else {}) | ({"effect": sizes} if sizes else {})
        flags = {"required": False} if muted else {"critical": True} if critical else {}
        return flags | {"kayenta": block}

    def _choice(self, terms: _Taken, key: str, known: Mapping[str, str]) -> str:
        """What one of a few words is called here; the first one, and a word about it, where it is none of them."""
        first = next(iter(known))
        value = terms.take(key, str, first)
        if value not in known:
            self.lost.append(NotCarried(f"{terms.path}{key}", f"{_shown(value)} is unknown; taken as {first}"))
        return known.get(value, known[first])

    def _query(self, metric: _Taken, known: Mapping[str, Any]) -> tuple[str | None, str]:
        """The PromQL with ``$side``, or why there is none."""
        query = metric.inside("query")
        kind = query.take("type", str, "")
        query.take("serviceType", str)
        if kind != "prometheus":
            return None, f"fig asks Prometheus, databases and files, not {kind or 'a service without a type'}"
        text = query.take("customInlineTemplate", str, "")
        name = query.take("customFilterTemplate", str, "")
        narrowed = query.take("customFilter", str, "")
        if not text and name:
            if name not in self.templates:
                return None, f"no template is called {_shown(name)}"
            self.used.add(name)
            text = str(self.templates[name])
        bindings = [str(label) for label in query.take("labelBindings", list, [])]
        metric_name = query.take("metricName", str, "")
        unit = query.take("resourceType", str, "") if "${resourceType}" in text else ""
        if not text.startswith(_PREFIX):
            labels = ", ".join(filter(None, [text, narrowed, *bindings]))
            text = f"avg({metric_name}{{{labels}}})" if metric_name else ""
        text = text.removeprefix(_PREFIX).strip()
        if not text:
            return None, "has no PromQL"
        return self._filled(text, {"metricName": metric_name, "resourceType": unit, **known, **self.values})

    def _filled(self, text: str, given: Mapping[str, Any]) -> tuple[str | None, str]:
        missing: list[str] = []

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name == "scope":
                return _IN_SIDE
            if isinstance(given.get(name), str) and given[name]:
                return str(given[name])
            missing.append(name)
            return ""

        filled = _VARIABLE.sub(value, text)
        if missing:
            return None, f"nothing says what ${{{missing[0]}}} stands for; give it with --set {missing[0]}=VALUE"
        if _IN_SIDE not in filled:
            return None, "its query has no ${scope}, so it asks the same of both sides"
        return _PLACEHOLDER.sub("$$", filled).replace("${", "$${").replace(_IN_SIDE, "$side"), ""


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return first["msg"].removeprefix("Value error, ")


def render(draft: Draft) -> str:
    """The draft as YAML, with a comment for all that was not carried."""
    lines = ["# A draft: read it, put it into the rules file and run `fig rules check`."]
    lines += [f"# {_in_a_line(note)}" for note in draft.notes]
    if draft.not_carried:
        lines += ["#", f"# Without a counterpart ({len(draft.not_carried)}):"]
        lines += [f"# - {each}" for each in draft.not_carried]
    body = yaml.safe_dump(draft.content, sort_keys=False, allow_unicode=True, width=110) if draft.content else ""
    return "\n".join(lines) + "\n" + body
