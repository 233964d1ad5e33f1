"""What services say that is allowed and probably a slip, and what they say that has no effect."""

from __future__ import annotations

from collections.abc import Iterator

from rules.review.remarks import Remark
from rules.service import Service
from rules.service_care import Ejection, FailurePercentage, SuccessRate

Path = tuple[str | int, ...]


def services(found: dict[str, Service]) -> Iterator[Remark]:
    """Of every service by its name."""
    for name, service in found.items():
        path: Path = ("services", name)
        if service.tls is not None and not service.tls.verify:
            message = (
                "'verify: false' believes whoever answers, so TLS hides nothing from one who stands between; give the "
                "file of the authorities as 'ca', and 'server_name' where the certificate has another name"
            )
            yield Remark("unverified-tls", message, (*path, "tls", "verify"))
        yield from _limits(service, path)
        yield from _care(service, path)


def _limits(service: Service, path: Path) -> Iterator[Remark]:
    most, given = service.max_requests, service.model_fields_set
    if most is None:
        return
    connections = service.max_connections * len(service.endpoints)
    if most > connections:
        of = "the service" if len(service.endpoints) == 1 else f"{len(service.endpoints)} endpoints"
        message = (
            f"'max_requests: {most}' is never reached: a request holds a connection, and a worker opens at most "
            f"{connections} to {of}; raise 'max_connections', or remove 'max_requests'"
        )
        yield Remark("idle-limit", message, (*path, "max_requests"))
    elif most < service.max_connections and "max_connections" in given:
        message = (
            f"'max_connections: {service.max_connections}' is never reached, because 'max_requests' is {most}; lower "
            "it, or raise 'max_requests'"
        )
        yield Remark("idle-limit", message, (*path, "max_connections"))


def _care(service: Service, path: Path) -> Iterator[Remark]:
    count = len(service.endpoints)
    ejection, given = service.ejection, service.model_fields_set
    if count == 1:
        for key in ("balance", "ejection"):
            if key in given and getattr(service, key) != "off":
                message = f"'{key}' has no effect: the service has one URL, so there is nothing to choose; give 'urls'"
                yield Remark("idle-care", f"{message}, or remove '{key}'", (*path, key))
        return
    if not isinstance(ejection, Ejection):
        return
    for key in ("success_rate", "failure_percentage"):
        block = getattr(ejection, key)
        if (
            key in ejection.model_fields_set
            and isinstance(block, (SuccessRate, FailurePercentage))
            and block.minimum_endpoints > count
        ):
            message = (
                f"'{key}' has no effect: the service has {count} URLs, and it needs {block.minimum_endpoints}; lower "
                f"'minimum_endpoints', or remove '{key}'"
            )
            yield Remark("idle-care", message, (*path, "ejection", key))
