# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets which driver, who gets none, and when a host has to boot."""

from __future__ import annotations

import platform
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.driver_plan import driver_plan
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.processes import boot_id

UBUNTU = {
    "machine_kind": "virtual_machine",
    "is_root": True,
    "architecture": "x86_64",
    "distribution": "ubuntu",
    "distribution_version": "24.04",
    "distribution_codename": "noble",
}
BOOKWORM = {**UBUNTU, "distribution": "debian", "distribution_codename": "bookworm"}
HERE = {"boot_id": boot_id(), "hostname": platform.node()}
CONTAINER = {**UBUNTU, "machine_kind": "container", "machine_kind_detail": "docker"}
BARE = {"present": False, "state": "no_driver", "driver": {"pci_gpus": 1}}


def working(version: str) -> dict[str, Any]:
    parts = {"kernel_version": version, "library_version": version, "pci_gpus": 1}
    return {"present": True, "state": "works", "driver_version": version, "driver": parts}


def broken(state: str, kernel: str | None, library: str | None) -> dict[str, Any]:
    parts = {"kernel_version": kernel, "library_version": library, "pci_gpus": 1}
    return {"present": False, "state": state, "reason": "It must boot.", "driver": parts}


def plan(gpu: dict[str, Any], host: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    least = options.pop("least", 580)
    return driver_plan({"gpu": gpu, "host": host or UBUNTU}, least, **options)


@pytest.mark.parametrize("version", ["580.65.06", "595.10"])
def test_a_driver_that_is_new_enough_is_left_alone_even_in_a_container(version: str) -> None:
    for host in (UBUNTU, CONTAINER):
        found = plan(working(version), host)
        assert (found["packages"], found["refusal"], found["reboot"]) == ([], None, None)


@pytest.mark.parametrize(
    ("host", "options", "packages"),
    [
        (UBUNTU, {}, ["nvidia-headless-580-server-open", "nvidia-utils-580-server"]),
        (
            UBUNTU,
            {"kernel_modules": "proprietary", "least": 525, "branch": "535.104"},
            ["nvidia-headless-535-server", "nvidia-utils-535-server"],
        ),
        (
            UBUNTU,
            {"least": 590},
            ["nvidia-headless-590-server-open", "nvidia-utils-590-server"],
        ),
        (
            BOOKWORM,
            {"least": 525},
            ["linux-headers-amd64", "nvidia-open-kernel-dkms", "nvidia-smi", "libcuda1"],
        ),
    ],
)
def test_a_host_without_a_driver_gets_the_packages_of_its_distribution(
    host: dict[str, Any], options: dict[str, Any], packages: list[str]
) -> None:
    found = plan(BARE, host, **options)
    assert (found["packages"], found["refusal"]) == (packages, None)
    assert "there is no driver" in found["why"]


def test_an_older_driver_is_upgraded() -> None:
    found = plan(working("535.230.02"))
    assert found["packages"] == ["nvidia-headless-580-server-open", "nvidia-utils-580-server"]
    assert found["why"] == "Driver 580 is needed, and driver 535 is older."


@pytest.mark.parametrize(
    ("gpu", "host", "options", "said"),
    [
        (BARE, CONTAINER, {}, "This is a container (docker)"),
        (working("535.1"), CONTAINER, {}, "rent_driver_version"),
        (BARE, {**UBUNTU, **HERE}, {}, "This is the controller itself"),
        (BARE, {**UBUNTU, "is_root": False}, {}, "set ansible_become"),
        ({**BARE, "driver": {"pci_gpus": 0}}, UBUNTU, {}, "No NVIDIA GPU is on the PCI bus"),
        (BARE, BOOKWORM, {}, "Debian bookworm has driver 535 and no newer one"),
        (BARE, {**UBUNTU, "distribution": "fedora"}, {}, "in driver_packages"),
    ],
)
def test_what_must_not_or_cannot_be_changed_is_refused_with_the_reason(
    gpu: dict[str, Any], host: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    found = plan(gpu, host, **options)
    assert said in found["refusal"]
    assert found["packages"] == []


@pytest.mark.parametrize("other", [{"boot_id": "another"}, {"hostname": "another"}])
def test_another_machine_of_the_same_boot_or_name_is_not_the_controller(
    other: dict[str, Any],
) -> None:
    """Containers share the boot of the machine around them, and names repeat."""
    assert plan(BARE, {**UBUNTU, **HERE, **other})["refusal"] is None


def test_packages_of_the_user_s_own_source_go_where_the_distribution_has_none() -> None:
    assert plan(BARE, BOOKWORM, packages=["cuda-drivers"])["packages"] == ["cuda-drivers"]
    assert plan(working("590.1"), BOOKWORM, packages=["cuda-drivers"])["packages"] == []
    assert "container" in plan(BARE, CONTAINER, packages=["cuda-drivers"])["refusal"]


def test_a_driver_that_waits_for_a_boot_is_not_installed_again() -> None:
    found = plan(broken("version_mismatch", kernel="535.1", library="580.65.06"))
    assert (found["packages"], found["refusal"]) == ([], None)
    assert found["reboot"] == "It must boot."


@pytest.mark.parametrize("state", ["gpu_lost", "no_device_files", "broken", "no_gpu"])
@pytest.mark.parametrize("version", ["580.95.05", "610.43.02"])
def test_a_driver_that_is_new_enough_and_does_not_work_is_not_replaced(
    state: str, version: str
) -> None:
    gpu = {**broken(state, version, version), "reason": "Xid 79."}
    gpu["driver_version"] = version if state == "no_gpu" else None
    for packages in ([], ["cuda-drivers"]):
        found = plan(gpu, least=525, packages=packages)
        assert found["packages"] == []
        assert found["refusal"] == (
            f"Driver {version[:3]} is new enough and does not work: Xid 79."
        )


@pytest.mark.parametrize(
    ("gpu", "boots"),
    [
        (working("580.65.06"), False),
        (broken("module_not_loaded", None, "580.65.06"), True),
        (broken("broken", "535.1", "580.65.06"), True),
        (broken("no_permission", "580.65.06", "580.65.06"), False),
        (BARE, False),
    ],
)
def test_a_host_boots_only_when_that_helps(gpu: dict[str, Any], boots: bool) -> None:
    found = plan(gpu)
    assert (found["reboot"] is not None) is boots
    assert not (boots and (found["refusal"] or found["packages"]))


@pytest.mark.parametrize("options", [{"least": "newest"}, {"kernel_modules": "nouveau"}])
def test_a_wish_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError):
        plan(BARE, **options)
