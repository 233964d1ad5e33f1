"""docker-compose.yml, the Dockerfile and deploy/ agree with the code: programs, flags, ports, files, metrics.

No container engine is needed: commands are given to the very parsers that would read them.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.core
import typer.main
import yaml

from proxy.cli import app
from proxy.demo.example import SERVICES, at_url
from proxy.rulebook import load
from proxy.settings import Settings
from tests.programs import need

ROOT = Path(__file__).parents[1]
PINNACLE = ROOT / "examples" / "pinnacle"
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "strangler-fig"}
INSIDE = {"/opt/pinnacle/": PINNACLE}
"""Folder of the image -> folder of the repository that the Dockerfile copies there."""


def default_of(text: str) -> str:
    """What compose makes of ``${NAME:-default}`` without that variable."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def parse_fig(command: list[str]) -> dict[str, Any]:
    """The parameters of a `fig ...` command, read by fig's own parser. Fails on what it does not know."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    name, *rest = command
    return dict(group.commands[name].make_context(name, rest).params)


@pytest.fixture
def pinnacle_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pinnacle's modules as they see each other, and nothing of them left behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(PINNACLE))
    yield
    for name in {path.stem for path in PINNACLE.glob("*.py")} - before:
        sys.modules.pop(name, None)


def parse_program(command: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The flags of a Pinnacle program, read by its own parser just before it would begin to serve."""
    script = Path(command[1])
    monkeypatch.setattr(sys, "argv", [script.name, *command[2:]])
    module = importlib.import_module(script.stem)
    if script.stem == "shoppers":
        return vars(module.parser().parse_args(command[2:]))
    told: dict[str, Any] = {}
    monkeypatch.setattr(module, "database", lambda *_: None)
    monkeypatch.setattr(module, "application", lambda *_: None)
    if hasattr(module, "PriceList"):
        monkeypatch.setattr(module, "PriceList", lambda _: None)
    if hasattr(module, "Checkout"):
        monkeypatch.setattr(module, "Checkout", lambda _: None)
    monkeypatch.setattr(module, "serve", lambda _, args, __: told.update(vars(args)))
    module.main()
    return told


def host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_is_a_program_of_this_repository_with_flags_that_it_knows(
    name: str, monkeypatch: pytest.MonkeyPatch, pinnacle_modules: None
) -> None:
    command = OURS[name]["command"]

    if command[0] == "fig":
        assert parse_fig(command[1:])
    else:
        assert command[0] == "python"
        assert (PINNACLE / command[1].removeprefix("/opt/pinnacle/")).is_file()
        assert parse_program(command, monkeypatch)


def test_a_flag_that_a_program_does_not_know_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, pinnacle_modules: None
) -> None:
    with pytest.raises(SystemExit):
        parse_program(["python", "/opt/pinnacle/cart.py", "--slowly"], monkeypatch)
    with pytest.raises(Exception, match="No such option"):
        parse_fig(["serve", "--quickly"])


def test_the_rules_in_compose_are_the_examples_with_the_names_and_ports_of_its_services(
    monkeypatch: pytest.MonkeyPatch, pinnacle_modules: None
) -> None:
    expected = (PINNACLE / "fig.yaml").read_text()
    for name in SERVICES:
        flags = parse_program(OURS[name]["command"], monkeypatch)
        assert flags["host"] == "0.0.0.0"
        expected = at_url(expected, name, f"http://{name}:{flags['port']}")

    assert (DEPLOY / "rules" / "fig.yaml").read_text() == expected


def test_the_rules_of_example_compose_and_kubernetes_are_accepted_without_a_warning(tmp_path: Path) -> None:
    [config_map] = [d for d in kubernetes() if d["kind"] == "ConfigMap"]
    in_cluster = tmp_path / "fig.yaml"
    in_cluster.write_text(config_map["data"]["fig.yaml"])

    for path in (PINNACLE / "fig.yaml", DEPLOY / "rules" / "fig.yaml", in_cluster):
        assert load(path).warnings == ()


def test_fig_starts_with_the_flags_and_tokens_that_compose_gives_it() -> None:
    fig = OURS["fig"]
    parameters = parse_fig(fig["command"][1:])
    texts = {f"FIG_{name.upper()}": str(value) for name, value in parameters.items()}
    texts |= {name: default_of(value) for name, value in fig["environment"].items()}

    settings = Settings.parse(texts)

    published = {int(port.split(":")[-1]) for port in fig["ports"]}
    assert published == {settings.listen.port, settings.admin.port}
    assert all(
        port.startswith("127.0.0.1:") for service in COMPOSE["services"].values() for port in service.get("ports", ())
    )
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in fig["volumes"]}
    assert mounts[str(settings.state)] in COMPOSE["volumes"]
    assert (ROOT / mounts[str(settings.rules.parent)] / settings.rules.name).is_file()


def test_shoppers_go_to_fig(monkeypatch: pytest.MonkeyPatch, pinnacle_modules: None) -> None:
    flags = parse_program(OURS["shoppers"]["command"], monkeypatch)
    listen = parse_fig(OURS["fig"]["command"][1:])["listen"]

    assert host_and_port(flags["url"]) == ("fig", int(listen.split(":")[1]))


def test_every_health_check_asks_a_path_that_its_program_has() -> None:
    for name, service in OURS.items():
        test = service.get("healthcheck", {}).get("test")
        if test is None:
            continue
        [url] = re.findall(r"http://[^']+", test[-1])
        command = service["command"]
        assert urlsplit(url).path == "/healthz", name
        assert host_and_port(url)[1] == int(command[command.index("--port") + 1]), name
    assert "/readyz" in dockerfile()["HEALTHCHECK"][0]


def test_every_volume_is_declared_or_lies_in_the_repository() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
        for config in service.get("configs", ()):
            assert config["source"] in COMPOSE["configs"]
        for other in service.get("depends_on", ()):
            assert other in COMPOSE["services"]


def test_prometheus_scrapes_figs_admin_port_with_the_token_that_fig_accepts() -> None:
    [job] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    admin = parse_fig(OURS["fig"]["command"][1:])["admin"]
    [config] = COMPOSE["services"]["prometheus"]["configs"]

    assert target == f"fig:{admin.split(':')[1]}"
    assert job["authorization"]["credentials_file"] == config["target"]
    assert COMPOSE["configs"][config["source"]]["content"] == OURS["fig"]["environment"]["FIG_READ_TOKEN"]


def test_grafana_finds_its_dashboard_and_prometheus() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    [provider] = yaml.safe_load((provisioning / "dashboards" / "fig.yml").read_text())["providers"]
    mounts = {v.split(":")[1]: v.split(":")[0] for v in COMPOSE["services"]["grafana"]["volumes"]}
    home = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert host_and_port(source["url"]) == ("prometheus", 9090)
    assert provider["options"]["path"] in mounts
    assert (ROOT / mounts[str(Path(home).parent)] / Path(home).name).is_file()
    assert all(panel["datasource"]["uid"] == source["uid"] for panel in dashboard()["panels"])


def test_every_query_of_the_dashboard_asks_for_a_metric_that_fig_has() -> None:
    asked = {name for query in queries() for name in re.findall(r"\bfig_\w+", query)}
    known = documented_metrics()

    assert asked, "the dashboard asks for nothing"
    assert {name for name in asked if re.sub(r"_(total|bucket|sum|count)$", "", name) not in known} == set()


def test_the_dashboard_shows_every_error_budget_and_how_fast_it_burns() -> None:
    shown = {name for query in queries() for name in re.findall(r"\bfig_slo_\w+", query)}

    assert shown == {name for name in documented_metrics() if name.startswith("fig_slo_")}


def test_no_panel_of_the_dashboard_covers_another() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [
        (place["x"] + across, place["y"] + down)
        for place in places
        for across in range(place["w"])
        for down in range(place["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert max(across for across, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(places)


def test_every_alert_asks_for_metrics_that_fig_has_and_says_whom_to_wake_and_why() -> None:
    read = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    files = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["rule_files"]
    alerts = [alert for group in read["groups"] for alert in group["rules"]]

    for mounted in files:
        assert f"./deploy/{mounted}:/etc/prometheus/{mounted}:ro" in COMPOSE["services"]["prometheus"]["volumes"]
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        asked = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(r"\bfig_\w+", alert["expr"])}
        assert asked <= documented_metrics(), alert["alert"]
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["annotations"]["summary"].endswith(".")


def test_prometheus_takes_the_alerts() -> None:
    files = [str(DEPLOY / name) for name in ("alerts.yml", "slo_rules.yml")]
    command = [need("promtool", "prometheus"), "check", "rules", "--lint-fatal", *files]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DEPLOY / "grafana" / "dashboards" / "fig.json").read_text()))


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        yield variable["query"]


def documented_metrics() -> set[str]:
    """Every metric that docs/metrics.md lists, without the endings that Prometheus adds."""
    return {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(r"\bfig_\w+", metrics_text())}


def metrics_text() -> str:
    return (ROOT / "docs" / "metrics.md").read_text()


def dockerfile() -> dict[str, list[str]]:
    """Instruction -> its arguments, in order; continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            instruction, _, rest = line.partition(" ")
            found.setdefault(instruction, []).append(" ".join(rest.split()))
    return found


def test_the_image_is_built_in_stages_from_the_lock_file_and_does_not_run_as_root() -> None:
    image = dockerfile()

    assert len(image["FROM"]) == 2
    assert any("--require-hashes" in run and "requirements.lock" in run for run in image["RUN"])
    assert any("--no-index" in run for run in image["RUN"])
    assert image["USER"] == ["fig"]


def test_all_that_the_image_copies_is_in_the_repository() -> None:
    for copy in dockerfile()["COPY"]:
        *sources, _ = [word for word in shlex.split(copy) if not word.startswith("--")]
        if "--from=build" not in copy:
            assert all((ROOT / source).exists() for source in sources), copy


def test_the_image_begins_fig_serve_with_settings_that_it_accepts() -> None:
    image = dockerfile()
    assert ast.literal_eval(image["CMD"][0]) == ["fig", "serve"]
    variables = dict(word.split("=", 1) for line in image["ENV"] for word in line.split() if word.startswith("FIG_"))

    settings = Settings.parse(variables)

    assert {settings.listen.port, settings.admin.port} == {int(port) for port in image["EXPOSE"][0].split()}
    assert str(settings.state) in ast.literal_eval(image["VOLUME"][0])


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def test_the_kubernetes_manifest_runs_fig_with_flags_that_it_knows_and_mounts_all_it_needs() -> None:
    [deployment] = [d for d in kubernetes() if d["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    parameters = parse_fig(container["args"][1:])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}

    assert ports == {"http": int(parameters["listen"].split(":")[1]), "admin": int(parameters["admin"].split(":")[1])}
    assert mounts[str(Path(parameters["config"]).parent)] == "rules"
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert pod["terminationGracePeriodSeconds"] > 30


def test_the_wheel_carries_the_example_where_the_demo_looks_for_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)

    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {Path(name) for name in archive.namelist()}

    needed = {Path("proxy/examples/pinnacle") / path.name for path in PINNACLE.iterdir() if path.is_file()}
    assert needed <= inside
    assert Path("proxy/demo/run.py") in inside
