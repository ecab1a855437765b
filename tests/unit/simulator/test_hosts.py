# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rented host is given of this machine, and what it is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.rig import image
from tests.simulator.hosts import ADDRESS, PORTS, HostFailure, HostSpec, PodmanHosts
from tests.simulator.market import container_ports

OWN_SETUP = ("SSL_CERT_FILE", "PIP_FIND_LINKS", "INFEROPS_RIG_UV_CACHE", "INFEROPS_RIG_PIP_CACHE")


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> PodmanHosts:
    for name in OWN_SETUP:
        monkeypatch.delenv(name, raising=False)
    return PodmanHosts("test-none", hub_port=4321)


def test_an_ordinary_machine_mounts_nothing(hosts: PodmanHosts) -> None:
    assert hosts.trust() == ([], {"HF_ENDPOINT": "http://host.containers.internal:4321"})


def test_a_machine_s_own_ca_wheels_and_caches_reach_the_host(
    hosts: PodmanHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, wheels, cache = tmp_path / "real", tmp_path / "wheels", tmp_path / "cache"
    pips = tmp_path / "pips"
    real.mkdir()
    wheels.mkdir()
    (real / "bundle.crt").write_text("certificates")
    (tmp_path / "link.crt").symlink_to(real / "bundle.crt")
    for name, path in zip(OWN_SETUP, (tmp_path / "link.crt", wheels, cache, pips), strict=True):
        monkeypatch.setenv(name, str(path))
    volumes, variables = hosts.trust()
    assert volumes == [
        f"{real}:/etc/inferops-sim/trust:ro",
        f"{wheels}:{wheels}:ro",
        f"{cache}:/var/cache/inferops-uv:rw",
        f"{pips}:/var/cache/inferops-pip:rw",
    ]
    assert (
        variables["SSL_CERT_FILE"] == variables["PIP_CERT"] == "/etc/inferops-sim/trust/bundle.crt"
    )
    assert variables["UV_FIND_LINKS"] == variables["PIP_FIND_LINKS"] == str(wheels)
    assert variables["UV_CACHE_DIR"] == "/var/cache/inferops-uv"
    assert variables["PIP_CACHE_DIR"] == "/var/cache/inferops-pip"


def test_keys_and_variables_stay_out_of_podman_s_command_line(hosts: PodmanHosts) -> None:
    spec = HostSpec(
        7, ("22/tcp",), {"TOKEN": "hush"}, ("ssh-ed25519 AAAA me",), onstart="echo hush"
    )
    options = " ".join(hosts.options(spec, {"22/tcp": 20022}))
    assert "--publish=127.0.0.1:20022:22/tcp" in options
    assert "--privileged" not in options
    assert "AAAA" not in options
    assert "hush" not in options
    assert hosts.files(spec)["root/.ssh/authorized_keys"] == ("ssh-ed25519 AAAA me\n", 0o600)


def test_a_host_learns_where_its_market_is_once_that_is_known(hosts: PodmanHosts) -> None:
    spec = HostSpec(7, ("22/tcp",), {"CONTAINER_ID": "7"}, ())
    assert "VAST_URL" not in dict(hosts.environment(spec, {}))
    hosts.api_url = "http://host.containers.internal:1234"
    told = dict(hosts.environment(spec, {"22/tcp": 20022}))
    assert told["VAST_URL"] == hosts.api_url
    assert (told["CONTAINER_ID"], told["VAST_TCP_PORT_22"]) == ("7", "20022")


def test_a_short_disk_is_one_that_fills_up(hosts: PodmanHosts) -> None:
    paid, short = HostSpec(7, (), {}, ()), HostSpec(7, (), {}, (), short_disk_gib=1.5)
    assert not [option for option in hosts.options(paid, {}) if "tmpfs" in option]
    assert "--tmpfs=/root/.inferops:size=1536m,mode=0755,exec" in hosts.options(short, {})


def test_a_plain_user_has_its_own_home_and_caches(
    hosts: PodmanHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFEROPS_RIG_UV_CACHE", str(tmp_path / "cache"))
    spec = HostSpec(7, (), {}, ("ssh-ed25519 AAAA me",), short_disk_gib=1.5, user="ubuntu")
    options = hosts.options(spec, {})
    assert "--tmpfs=/home/ubuntu/.inferops:size=1536m,mode=0777,exec" in options
    assert f"--volume={tmp_path}/cache-of-users:/var/cache/inferops-uv:rw" in options
    # It is let in once there is such a user.
    assert "root/.ssh/authorized_keys" not in hosts.files(spec)


def test_a_host_with_an_address_of_its_own_has_all_of_its_ports(
    hosts: PodmanHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    spec = HostSpec(7, ("22/tcp", "8000/tcp"), {}, (), own_address=True, host_key="a key")
    assert hosts.ports(spec) == {"22/tcp": 22, "8000/tcp": 8000}
    assert not [one for one in hosts.options(spec, hosts.ports(spec)) if "--publish" in one]
    assert hosts.files(spec)["etc/ssh/ssh_host_ed25519_key"] == ("a key", 0o600)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HostFailure, match="only root"):
        hosts.ports(spec)


def test_a_port_in_use_is_never_given_out(hosts: PodmanHosts) -> None:
    first = hosts.free_port()
    with socket.socket() as taken:
        taken.bind((ADDRESS, first + 1 if first + 1 in PORTS else PORTS.start))
        taken.listen()
        second = hosts.free_port()
        assert second not in (first, taken.getsockname()[1])
        assert second in PORTS


def test_ports_come_from_the_keys_of_env() -> None:
    asked = ["-p 8000:8000", "-p 53:53/udp", "-p 22:22", "A", "-h name"]
    assert container_ports(asked) == ("22/tcp", "8000/tcp", "53/udp")


def test_a_changed_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.tag()
    assert before == image.tag()
    monkeypatch.setattr(image, "PACKAGES", (*image.PACKAGES, "curl"))
    assert image.tag() != before
