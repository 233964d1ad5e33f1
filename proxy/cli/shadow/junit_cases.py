"""The shadow report as cases of a JUnit report: a certificate and what was found, of each route."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.cli.junit import Case
from shadow.certifying.certificate import CertificateVerdict
from shadow.report.building import Report, RouteReport

_MOST_SAMPLES = 3


def cases(report: Report) -> Iterator[Case]:
    """A case for the certificate of each route, one for its writes, and one for each cause or place that differs."""
    for route in report.routes:
        yield _certificate(route)
        yield _writes(route)
        yield from _differences(route)


def _certificate(route: RouteReport) -> Case:
    certificate = route.certificate
    told = "\n".join([f"{certificate.verdict}: {certificate.reason}", *route.blocks])
    if certificate.verdict is CertificateVerdict.TOO_FEW:
        return Case("certificate", route.route, skipped=told)
    failed = certificate.verdict is not CertificateVerdict.GO
    return Case("certificate", route.route, failure=told if failed else None)


def _writes(route: RouteReport) -> Case:
    unproven = route.unproven
    found = [
        f"{count:,} {what}"
        for count, what in (
            (unproven.gaps, "not recorded (gaps)"),
            (unproven.doubts, "in doubt"),
            (unproven.dead, "with a copy that was given up"),
        )
        if count
    ]
    return Case("writes", route.route, failure=f"writes: {', '.join(found)}" if found else None)


def _differences(route: RouteReport) -> Iterator[Case]:
    if not route.pairs:
        yield Case("answers", route.route, skipped="nothing was compared yet")
        return
    if not route.differing:
        yield Case("answers", route.route)
    if route.causes:
        for cause in route.causes:
            names = "".join(f"\npair {each.pair.id}" for each in cause.samples[:_MOST_SAMPLES])
            yield Case(cause.claim, route.route, failure=f"{cause.sentence}\ncause {cause.name}{names}")
        return
    for place in route.places:
        names = "".join(f"\npair {each.pair.id}" for each in place.samples[:_MOST_SAMPLES])
        often = f"{place.place.pairs:,} of {route.pairs:,} pairs"
        yield Case(place.sentence, route.route, failure=f"{place.sentence} in {often}{names}")
