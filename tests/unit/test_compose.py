"""docker-compose.yml says what it means in the words of the compose specification."""

import re
from inspect import signature
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from sqlalchemy import make_url

from dev.say import CHECKOUT
from outbox.http.requests import transaction
from outbox.http.server import serving
from outbox.relay import process as relay_process
from outbox.worker import process as worker_process
from service.settings import Settings

# What Docker knows and compose_spec does not.
BEYOND = {"host-gateway": "127.0.0.1", "on-failure:5": "on-failure"}

TEXT = (CHECKOUT / "docker-compose.yml").read_text()
WITH_DEFAULTS = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", TEXT)
COMPOSE: dict[str, Any] = yaml.safe_load(WITH_DEFAULTS)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROCESSES = {"relay", "worker"}
MONITORING = {"prometheus", "grafana"}
ONCE = {"migrate", "scraper-key"}
SERVERS = {"postgres", "rabbitmq", "api", *MONITORING}


def test_it_follows_the_specification() -> None:
    merged = yaml.safe_dump(COMPOSE)
    for word, plain in BEYOND.items():
        merged = merged.replace(word, plain)
    assert set(PyCompose.from_yaml(merged).service_names()) == set(SERVICES)


@pytest.mark.parametrize("wrong", ["restart: sometimes", "port: 80", "depends_on: {b: {wait: 1}}"])
def test_what_does_not_follow_it_is_noticed(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"services\.a"):
        PyCompose.from_yaml(f"services:\n  a:\n    image: a\n    {wrong}\n")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_started_again_after_a_crash(name: str) -> None:
    assert SERVICES[name]["restart"] == ("on-failure:5" if name in ONCE else "unless-stopped")


def test_every_server_has_a_health_check() -> None:
    assert {name for name in SERVICES if "healthcheck" in SERVICES[name]} == SERVERS


def test_whoever_waits_for_a_server_waits_until_it_is_healthy() -> None:
    waits = [
        each for service in SERVICES.values() for each in service.get("depends_on", {}).items()
    ]
    conditions = {name: wait["condition"] for name, wait in waits}
    assert conditions == {
        "migrate": "service_completed_successfully",
        "postgres": "service_healthy",
        "prometheus": "service_healthy",
        "scraper-key": "service_completed_successfully",
        "rabbitmq": "service_healthy",
    }


def test_only_migrate_runs_as_the_owner_of_the_tables() -> None:
    urls = {name: each["environment"]["DATABASE_URL"] for name, each in SERVICES.items()
            if "DATABASE_URL" in each.get("environment", {})}  # fmt: skip
    roles = {name: make_url(url).username for name, url in urls.items()}
    owner = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert roles.pop("migrate") == owner
    (role,) = set(roles.values())
    assert role != owner
    assert SERVICES["migrate"]["command"] == f"migrate --grant-to {role}"
    assert f"CREATE ROLE {role} " in (CHECKOUT / "dev" / "postgres-init.sh").read_text()


def test_each_process_has_more_time_to_stop_than_it_takes() -> None:
    grace = (
        signature(worker_process.run).parameters["grace"].default + worker_process.SHUTDOWN_MARGIN
    )
    longest = {
        "api": serving.LONGEST_SECONDS,
        "relay": relay_process.LONGEST_SECONDS,
        "worker": grace.total_seconds(),
    }
    for name, seconds in longest.items():
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= seconds + 5


def test_an_api_has_time_for_all_steps_of_its_end() -> None:
    steps = serving.UNREADY_SECONDS + serving.ANSWERING_SECONDS + serving.CLOSING_SECONDS
    assert serving.ANSWERING_SECONDS >= transaction.LONGEST_SECONDS
    assert steps < serving.LONGEST_SECONDS


def test_ports_are_open_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_api_and_the_worker_share_the_documents() -> None:
    sharing = {name for name in SERVICES if "documents:" in str(SERVICES[name].get("volumes"))}
    assert sharing == {"api", "worker"}


def test_every_setting_of_the_shell_reaches_the_processes() -> None:
    settings = {str(each.validation_alias or f"DULY_{name.upper()}")
                for name, each in Settings.model_fields.items()}  # fmt: skip
    # The pooler's and the actors' addresses are of other set-ups than this one.
    assert set(SERVICES["api"]["environment"]) == settings - {"DULY_LISTEN_URL", "DULY_ACTORS"}


def test_monitoring_starts_only_where_it_is_asked_for() -> None:
    asked_for = {name: each["profiles"] for name, each in SERVICES.items() if "profiles" in each}
    assert asked_for == {name: ["monitoring"] for name in [*MONITORING, "scraper-key"]}


@pytest.mark.parametrize("name", sorted(MONITORING))
def test_images_of_monitoring_have_a_version_and_their_files_exist(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"])
    files = [each.split(":")[0] for each in SERVICES[name]["volumes"] if each.startswith("./")]
    assert files
    assert [file for file in files if not (CHECKOUT / file).exists()] == []


def test_grafana_reads_the_dashboard_from_where_it_is_mounted_and_asks_prometheus() -> None:
    grafana = SERVICES["grafana"]
    provisioned = CHECKOUT / "dev" / "monitoring" / "grafana"
    (source,) = yaml.safe_load((provisioned / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioned / "dashboards" / "duly.yml").read_text())["providers"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert f"./outbox/monitoring/dashboard.json:{home}:ro" in grafana["volumes"]
    assert home.startswith(provider["options"]["path"])
    assert source["url"] == "http://prometheus:9090"


def test_prometheus_scrapes_where_the_processes_serve_their_metrics() -> None:
    scraped = yaml.safe_load((CHECKOUT / "dev" / "monitoring" / "prometheus.yml").read_text())
    addresses = {address for job in scraped["scrape_configs"] for address in _addresses(job)}
    commands = {name: SERVICES[name]["command"] for name in PROCESSES}
    assert {_option(each, "--metrics-host") for each in commands.values()} == {"0.0.0.0"}
    ports = {name: _option(each, "--metrics-port") for name, each in commands.items()}
    ports["api"] = _option(SERVICES["api"]["command"], "--port")
    assert addresses == {f"{name}:{port}" for name, port in ports.items()}


def test_the_key_is_where_prometheus_looks_for_it() -> None:
    text = (CHECKOUT / "dev" / "monitoring" / "prometheus.yml").read_text()
    (api,) = [each for each in yaml.safe_load(text)["scrape_configs"] if "authorization" in each]
    volume, folder, _ = next(
        each.split(":") for each in SERVICES["prometheus"]["volumes"] if "keys" in each
    )
    made = next(each for each in SERVICES["scraper-key"]["volumes"] if each.startswith(volume))
    name = api["authorization"]["credentials_file"].removeprefix("keys/")
    assert folder == "/etc/prometheus/keys"
    assert f"key={made.split(':')[1]}/{name}\n" in SERVICES["scraper-key"]["command"][0]


def _addresses(job: dict[str, Any]) -> list[str]:
    found = [target for each in job.get("static_configs", []) for target in each["targets"]]
    named = job.get("dns_sd_configs", [])
    return found + [f"{name}:{each['port']}" for each in named for name in each["names"]]


def _option(command: str, name: str) -> str:
    words = command.split()
    return words[words.index(name) + 1]
