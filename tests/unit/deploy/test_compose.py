"""deploy/compose.yaml without a container engine: its form, and what a deployment must not lose."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import monitoring

COMPOSE = monitoring.DEPLOY / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
PASSWORD = {"GRAFANA_PASSWORD": "of a test"}


def resolve(text: str, **variables: str) -> str:
    """The text with `${NAME:-default}` put in; a name without a default has to be given."""

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        assert name in variables or default is not None, f"{name} has no default"
        return variables.get(name, default or "")

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?(?::\?[^}]*)?\}", value, text)


@cache
def engine() -> tuple[list[str], str]:
    """The compose command of this machine and its version; `config` needs no daemon. Empty without one."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            version = subprocess.run(
                [*command, "version", "--short"], capture_output=True, text=True, check=False
            )
            if version.returncode == 0:
                return command, version.stdout.strip()
    return [], ""


def configuration(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What compose makes of the file, as YAML, or its complaint."""
    command, version = engine()
    if not command:
        pytest.skip("no docker compose on this machine (Debian: apt-get install docker-compose)")
    text = COMPOSE.read_text("utf-8")
    if version.startswith("1."):  # Debian 12's, which came before the key `name`
        text = re.sub(r"^name: .*\n", "", text, flags=re.MULTILINE)
    path = folder / "compose.yaml"
    path.write_text(text, "utf-8")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return subprocess.run(
        [*command, "--file", str(path), "--profile", "gpu", "config"],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, **environment},
    )


def test_compose_accepts_it(tmp_path: Path) -> None:
    answer = configuration(tmp_path, **PASSWORD)
    assert answer.returncode == 0, answer.stderr
    services = yaml.safe_load(answer.stdout)["services"]
    assert set(services) == {"triton", "prometheus", "grafana"}
    (device,) = services["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "$" not in json.dumps(services)


def test_compose_asks_for_the_password(tmp_path: Path) -> None:
    answer = configuration(tmp_path)
    assert answer.returncode != 0
    assert "choose a password" in answer.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_gated_kept_up_and_on_loopback(name: str) -> None:
    service = SERVICES[name]
    image, _, tag = resolve(service["image"]).rpartition(":")
    assert image and re.match(r"v?\d+\.\d+", tag), f"{service['image']} is not pinned"
    assert service["profiles"] == ["gpu"]
    assert service["restart"] == "unless-stopped"
    assert "no-new-privileges:true" in service["security_opt"]
    for port in service["ports"]:
        assert resolve(port).startswith("127.0.0.1:")
        assert resolve(port, PUBLISH_ADDRESS="192.0.2.1").startswith("192.0.2.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_every_folder_of_ours_is_mounted_read_only_and_exists(name: str) -> None:
    mounts = [volume for volume in SERVICES[name]["volumes"] if isinstance(volume, dict)]
    assert mounts
    for mount in mounts:
        assert mount["type"] == "bind" and mount["read_only"] is True
        assert (monitoring.DEPLOY / resolve(mount["source"])).is_dir()


def flags() -> dict[str, str]:
    command = SERVICES["triton"]["command"]
    assert command[0] == "tritonserver"
    return dict(flag.removeprefix("--").partition("=")[::2] for flag in command[1:])


def test_triton_has_the_flags_that_the_rules_live_by() -> None:
    given = flags()
    assert given["metrics-config"] == "summary_latencies=true"
    assert given["allow-metrics"] == given["allow-gpu-metrics"] == "true"
    assert 0 < int(given["metrics-interval-ms"]) <= 15_000, "GPU metrics are older than a scrape"
    assert given["model-control-mode"] == "none"
    assert given["strict-readiness"] == given["exit-on-error"] == "true"
    assert not [flag for flag in given if "cache" in flag]
    assert given["model-repository"] == SERVICES["triton"]["volumes"][0]["target"]


def test_triton_publishes_its_three_ports_and_is_asked_whether_it_is_ready() -> None:
    triton = SERVICES["triton"]
    assert [int(resolve(port).rpartition(":")[2]) for port in triton["ports"]] == [8000, 8001, 8002]
    assert triton["healthcheck"]["test"][-1].endswith(":8000/v2/health/ready")
    assert int(triton["stop_grace_period"].removesuffix("s")) > int(flags()["exit-timeout-secs"])


def test_prometheus_and_grafana_find_what_is_mounted() -> None:
    prometheus, grafana = SERVICES["prometheus"], SERVICES["grafana"]
    assert f"--config.file={prometheus['volumes'][0]['target']}/prometheus.yml" in prometheus["command"]
    scrapes = yaml.safe_load((monitoring.PROMETHEUS / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert scrapes[0]["static_configs"][0]["targets"] == ["triton:8002"]
    provisioning = monitoring.DEPLOY / "grafana" / "provisioning"
    provider = yaml.safe_load((provisioning / "dashboards" / "triton.yml").read_text("utf-8"))["providers"][0]
    assert provider["options"]["path"] in {volume["target"] for volume in grafana["volumes"][:2]}
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text("utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
