"""docker-compose.yml and the Dockerfile name what exists, harden what runs, and are what compose and hadolint accept.

Both tools come with requirements/checks.txt, which `.ci/run` installs into `.tools/checks`;
ACCORD_REQUIRE_DEPLOY_CHECKS=1 makes a missing one a failure.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
from pydantic_settings import BaseSettings
from ruamel.yaml import YAML

# The commands of `accord` import what they run, and its settings with it.
import services.process
import services.standalone  # noqa: F401
from services.cli import app
from services.composition import SERVICES

ROOT: Final = Path(__file__).parents[3]
TOOLS: Final = ROOT / ".tools" / "checks" / "bin"
COMPOSE: Final[dict[str, Any]] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SCRAPED: Final[dict[str, Any]] = YAML(typ="safe").load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
DOCKERFILE: Final = (ROOT / "deploy" / "Dockerfile").read_text()
CONTAINERS: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
APART: Final = {name: one for name, one in CONTAINERS.items() if one.get("command", [""])[0] == "run"}
# What the images of others listen on.
PORTS: Final = {"prometheus": "9090", "grafana": "3000"}


def _run(tool: str, *arguments: str) -> None:
    # Debian's docker-compose is version 1, which can't read today's files: the pinned one goes first.
    found = str(TOOLS / tool) if (TOOLS / tool).exists() else shutil.which(tool)
    if found is None or (tool == "docker-compose" and not found.startswith(str(TOOLS))):
        why = f"no {tool}: python3 -m venv .tools/checks; .tools/checks/bin/pip install -r requirements/checks.txt"
        if os.environ.get("ACCORD_REQUIRE_DEPLOY_CHECKS") == "1":
            pytest.fail(why)
        pytest.skip(why)
    done = subprocess.run([found, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stderr, done.stderr


def _settings(kind: type[BaseSettings] = BaseSettings) -> Iterator[str]:
    """Of every class of settings that the commands of `accord` read."""
    for one in kind.__subclasses__():
        yield from (f"{one.model_config['env_prefix']}{field}".upper() for field in one.model_fields)
        yield from _settings(one)


def _option(container: dict[str, Any], name: str) -> str:
    command: list[str] = container["command"]
    return command[command.index(name) + 1]


def test_compose_accepts_the_file() -> None:
    _run("docker-compose", "-f", "docker-compose.yml", "config", "--quiet")


def test_hadolint_accepts_the_dockerfile() -> None:
    _run("hadolint", "deploy/Dockerfile")


def test_every_setting_named_exists() -> None:
    named = set(re.findall(r"\bACCORD_[A-Z_]+", (ROOT / "docker-compose.yml").read_text() + DOCKERFILE))
    assert named
    assert named <= set(_settings())


def test_every_service_runs_in_a_container_of_its_name() -> None:
    assert {name: one["command"][1] for name, one in APART.items()} == {name: name for name in SERVICES}


@pytest.mark.parametrize("name", [name for name, one in CONTAINERS.items() if one["image"] == "accord"])
def test_a_command_is_one_that_accord_knows(name: str) -> None:
    command: list[str] = CONTAINERS[name]["command"]
    known = typer.main.get_command(app)
    assert hasattr(known, "commands")
    parameters = known.commands[command[0]].params
    options = {option for parameter in parameters for option in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= options


def test_every_port_is_listened_on() -> None:
    for name, container in CONTAINERS.items():
        listens = _option(container, "--port") if name in APART else PORTS.get(name)
        for published in container.get("ports", ()):
            host, _, inside = published.split(":")
            assert (host, inside) == ("127.0.0.1", listens), name


def test_prometheus_scrapes_every_service_where_it_listens() -> None:
    [job] = SCRAPED["scrape_configs"]
    [discovery] = job["dns_sd_configs"]
    assert job["job_name"] == "accord"
    assert set(discovery["names"]) == set(APART)
    assert {str(discovery["port"])} == {_option(container, "--port") for container in APART.values()}


def test_the_image_is_asked_for_its_health_where_its_processes_listen() -> None:
    port = re.findall(r"EXPOSE (\d+)", DOCKERFILE)
    assert re.findall(r"127\.0\.0\.1:(\d+)/healthz", DOCKERFILE) == port
    assert re.findall(r'"--port", "(\d+)"', DOCKERFILE) == port
    assert {_option(container, "--port") for container in APART.values()} == set(port)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    container = CONTAINERS[name]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert set(container["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert container.get("read_only") is True or name == "kafka"
    assert not container.get("privileged")
    assert not container.get("network_mode")
    assert re.fullmatch(r"accord|[a-z/]+:v?\d[\d.]*", container["image"])


def test_what_is_mounted_exists_and_what_must_last_has_a_volume() -> None:
    for container in CONTAINERS.values():
        for mount in container.get("volumes", ()):
            source, _, _ = mount.partition(":")
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]


def test_the_image_runs_as_nobody_special() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001"]
    assert "org.opencontainers.image.version" in DOCKERFILE
