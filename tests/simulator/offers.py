# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The offers of the simulated market: a seeded generator shaped like the real one.

The tables hold what is known of real hardware (memory as NVIDIA's driver reports it, compute
capability, the drivers that support it) and rough street prices; the spread around them is random.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import Any

Offer = dict[str, Any]

DEFAULT_SEED, DEFAULT_COUNT = 7, 400
HOURS_PER_MONTH = 30 * 24
FRACTION_ODDS = 2 / 3  # how many machines with several GPUs are also offered by half


@dataclass(frozen=True)
class Gpu:
    """One GPU model: what its driver reports, what it costs per hour, and how common it is."""

    name: str
    arch: str
    ram_mib: int
    compute_cap: int  # times 100
    usd_per_hour: float
    dlperf: float
    bandwidth_gb_s: int
    counts: tuple[int, ...]
    commonness: int


GPUS = (
    Gpu("GTX 1080", "pascal", 8192, 610, 0.06, 8, 320, (1, 2), 6),
    Gpu("GTX 1080 Ti", "pascal", 11264, 610, 0.08, 11, 484, (1, 2, 4), 8),
    Gpu("Tesla V100", "volta", 32768, 700, 0.22, 25, 900, (1, 4, 8), 8),
    Gpu("RTX 2080 Ti", "turing", 11264, 750, 0.11, 16, 616, (1, 2, 4), 10),
    Gpu("Tesla T4", "turing", 15360, 750, 0.14, 9, 320, (1, 2), 6),
    Gpu("RTX 3060", "ampere", 12288, 860, 0.08, 13, 360, (1, 2, 4), 25),
    Gpu("RTX 3090", "ampere", 24576, 860, 0.18, 32, 936, (1, 2, 4, 8), 45),
    Gpu("RTX A4000", "ampere", 16376, 860, 0.12, 19, 448, (1, 2, 4), 14),
    Gpu("RTX A6000", "ampere", 49140, 860, 0.42, 38, 768, (1, 2, 4, 8), 16),
    Gpu("A100 PCIE", "ampere", 40960, 800, 0.62, 55, 1555, (1, 2, 4), 10),
    Gpu("A100 SXM4", "ampere", 81920, 800, 0.95, 68, 2039, (1, 2, 4, 8), 14),
    Gpu("RTX 4060 Ti", "ada", 16380, 890, 0.10, 18, 288, (1, 2), 14),
    Gpu("RTX 4080", "ada", 16376, 890, 0.22, 40, 717, (1, 2), 12),
    Gpu("RTX 4090", "ada", 24564, 890, 0.36, 72, 1008, (1, 2, 4, 8), 60),
    Gpu("L4", "ada", 23034, 890, 0.30, 20, 300, (1, 2, 4), 8),
    Gpu("L40S", "ada", 46068, 890, 0.62, 66, 864, (1, 2, 4, 8), 14),
    Gpu("RTX 6000Ada", "ada", 49140, 890, 0.58, 70, 960, (1, 2, 4), 12),
    Gpu("H100 PCIE", "hopper", 81559, 900, 1.75, 110, 2039, (1, 2, 4), 8),
    Gpu("H100 SXM", "hopper", 81559, 900, 2.10, 150, 3352, (1, 2, 4, 8), 14),
    Gpu("H200", "hopper", 143771, 900, 2.75, 165, 4800, (1, 2, 4, 8), 10),
    Gpu("RTX 5070 Ti", "blackwell", 16303, 1200, 0.16, 45, 896, (1, 2), 12),
    Gpu("RTX 5090", "blackwell", 32607, 1200, 0.48, 100, 1792, (1, 2, 4, 8), 30),
    Gpu("RTX PRO 6000 WS", "blackwell", 97887, 1200, 1.05, 115, 1792, (1, 2, 4), 10),
    Gpu("B200", "blackwell", 183359, 1000, 4.20, 260, 8000, (1, 4, 8), 6),
)
DRIVER_BRANCHES = {"pascal": (470, 580), "volta": (470, 580), "turing": (470, 595),
                   "ampere": (470, 595), "ada": (525, 595), "hopper": (525, 595),
                   "blackwell": (570, 595)}  # fmt: skip
DRIVERS = (  # branch, full version, the newest CUDA it supports, how common
    (470, "470.256.02", 11.4, 2),
    (525, "525.147.05", 12.0, 4),
    (535, "535.230.02", 12.2, 14),
    (550, "550.144.03", 12.4, 20),
    (560, "560.35.05", 12.6, 12),
    (565, "565.77", 12.7, 8),
    (570, "570.172.08", 12.8, 22),
    (575, "575.64.03", 12.9, 10),
    (580, "580.95.05", 13.0, 24),
    (590, "590.48.01", 13.1, 10),
    (595, "595.58.03", 13.2, 4),
)
PLACES = (  # what Vast.ai writes, weight
    ("California, US", 14), ("Texas, US", 12), ("Virginia, US", 8), ("Quebec, CA", 6),
    ("Sweden, SE", 6), ("Norway, NO", 5), ("Germany, DE", 7), ("Czechia, CZ", 5),
    ("United Kingdom, GB", 4), ("France, FR", 4), ("Poland, PL", 4), ("Bulgaria, BG", 3),
    ("Ukraine, UA", 3), ("Taiwan, TW", 4), ("South Korea, KR", 4), ("Japan, JP", 3),
    ("Vietnam, VN", 3), ("Australia, AU", 2), ("Brazil, BR", 2), ("South Africa, ZA", 1),
)  # fmt: skip
CPUS = (("AMD EPYC 7763 64-Core Processor", 128), ("AMD EPYC 7302 16-Core Processor", 32),
        ("Xeon E5-2680 v4", 28), ("AMD Ryzen 9 5950X 16-Core Processor", 32),
        ("Core i9-13900K", 32))  # fmt: skip


def generate(now: float, seed: int = DEFAULT_SEED, count: int = DEFAULT_COUNT) -> list[Offer]:
    """Return ``count`` offers on about three quarters as many machines.

    The same seed gives the same offers, except that their dates count from ``now`` (epoch seconds).
    """
    return [
        {**offer, **{date: round(now + offer[date], 3) for date in ("start_date", "end_date")}}
        for offer in timeless(seed, count)
    ]


@functools.cache
def timeless(seed: int, count: int) -> tuple[Offer, ...]:
    """Return the offers of a seed with dates that count from 0; never change them."""
    chance = random.Random(seed)
    offers: list[Offer] = []
    machine = 10_000
    while len(offers) < count:
        machine += chance.randint(1, 90)
        whole = make_machine(chance, machine)
        offers.append(whole)
        if whole["num_gpus"] > 1 and chance.random() < FRACTION_ODDS:
            offers.append(half_of(whole))
    offers = offers[:count]
    for number, offer in enumerate(offers):
        offer["id"] = offer["ask_contract_id"] = 6_000_000 + number * 17
    return tuple(offers)


def make_machine(chance: random.Random, machine_id: int) -> Offer:
    """Return the offer of one whole random machine, without its id; its dates count from 0."""
    gpu = chance.choices(GPUS, [g.commonness for g in GPUS])[0]
    count = chance.choices(gpu.counts, [1 / (n + 1) for n in gpu.counts])[0]
    oldest, newest = DRIVER_BRANCHES[gpu.arch]
    drivers = [row for row in DRIVERS if oldest <= row[0] <= newest]
    _branch, driver, cuda, _weight = chance.choices(drivers, [row[3] for row in drivers])[0]
    datacenter = chance.random() < (0.5 if gpu.usd_per_hour > 0.5 else 0.12)
    verification = chance.choices(
        ("verified", "unverified", "deverified"), (85, 14, 1) if datacenter else (68, 28, 4)
    )[0]
    reliability = min(0.9999, max(0.6, 1 - chance.expovariate(1 / (0.006 if datacenter else 0.02))))
    usd_per_gpu = gpu.usd_per_hour * chance.lognormvariate(0.05 if datacenter else -0.05, 0.28)
    base = round(usd_per_gpu * count, 6)
    cpu, cores = chance.choice(CPUS)
    down = round(min(9000.0, chance.lognormvariate(6.3, 0.9)), 1)
    duration = round(chance.choice((2, 7, 14, 30, 90, 180)) * 86400 * chance.uniform(0.3, 1))
    performance = round(gpu.dlperf * count * chance.uniform(0.9, 1.05), 3)
    return {
        "bundle_id": machine_id * 3 + 1,
        "machine_id": machine_id,
        "host_id": 1000 + machine_id % 700,
        "hostname": None,
        "gpu_name": gpu.name,
        "gpu_arch": "nvidia",
        "num_gpus": count,
        "gpu_frac": 1.0,
        "gpu_ram": gpu.ram_mib,
        "gpu_total_ram": gpu.ram_mib * count,
        "gpu_mem_bw": float(gpu.bandwidth_gb_s),
        "gpu_max_temp": 90.0,
        "gpu_max_power": float(150 + machine_id % 8 * 50),
        "gpu_display_active": False,
        "total_flops": round(performance * 0.8, 3),
        "compute_cap": gpu.compute_cap,
        "cuda_max_good": cuda,
        "driver_version": driver,
        "driver_vers": driver_number(driver),
        "cpu_name": cpu,
        "cpu_arch": "amd64",
        "cpu_ghz": 2.2 + machine_id % 20 / 10,
        "has_avx": 1,
        "mobo_name": f"BOARD-{machine_id % 9}",
        "os_version": ("20.04", "22.04", "24.04")[machine_id % 3],
        "cpu_cores": cores,
        "cpu_cores_effective": float(cores),
        "cpu_ram": chance.choice((32, 64, 128, 256, 512)) * 1024,
        "disk_space": float(chance.choice((60, 120, 250, 500, 1000, 3000))),
        "disk_bw": round(chance.uniform(300, 6500), 1),
        "inet_down": down,
        "inet_up": round(down * chance.uniform(0.1, 1), 1),
        "inet_down_cost": round(chance.choice((0, 0, 0.002, 0.005, 0.012, 0.02)), 4),
        "inet_up_cost": round(chance.choice((0, 0.002, 0.005, 0.012, 0.02)), 4),
        "direct_port_count": chance.choice((0, 2, 16, 50, 100, 250, 999)),
        "static_ip": datacenter or chance.random() < 0.3,
        "public_ipaddr": f"198.51.100.{machine_id % 254 + 1}",
        "geolocation": chance.choices(
            [place for place, _weight in PLACES], [weight for _place, weight in PLACES]
        )[0],
        "hosting_type": int(datacenter),
        "verification": verification,
        "vericode": int(verification == "verified"),
        "reliability": round(reliability, 7),
        "reliability2": round(reliability, 7),
        "dph_base": base,
        "dph_total": base,
        "discounted_dph_total": base,
        "min_bid": round(base * chance.uniform(0.4, 0.7), 6),
        "storage_cost": round(chance.choice((0.1, 0.15, 0.15, 0.2, 0.3)), 4),
        "pcie_bw": round(chance.uniform(3, 25), 1),
        "pci_gen": 4.0,
        "bw_nvlink": 0.0,
        "dlperf": performance,
        "dlperf_per_dphtotal": round(performance / base, 3),
        "score": round(performance / base * reliability**8, 5),
        "duration": float(duration),
        "start_date": -chance.uniform(1, 90) * 86400,
        "end_date": float(duration),
        "rentable": True,
        "rented": False,
        "external": False,
        "is_bid": False,
        "vms_enabled": datacenter and chance.random() < 0.3,
        "resource_type": "gpu",
        "webpage": None,
        "logo": "",
    }


def half_of(whole: Offer) -> Offer:
    """Return the offer of half of a machine's GPUs, at half of its price."""
    half = dict(whole)
    count = whole["num_gpus"] // 2
    half |= {"num_gpus": count, "gpu_frac": 0.5, "gpu_total_ram": whole["gpu_ram"] * count}
    for shared in ("cpu_cores_effective", "disk_space", "dlperf", "total_flops"):
        half[shared] = whole[shared] / 2
    for price in ("dph_base", "dph_total", "discounted_dph_total", "min_bid"):
        half[price] = round(whole[price] / 2, 6)
    half["bundle_id"] += 1
    return half


def driver_number(version: str) -> int:
    """Return 535086005 for "535.86.05", as Vast.ai's client does."""
    parts = [int(part) for part in version.split(".")] + [0, 0]
    return parts[0] * 1_000_000 + parts[1] * 1_000 + parts[2]


def priced(offer: Offer, storage_gib: float) -> Offer:
    """Return the offer with its totals for a disk of ``storage_gib``."""
    total = round(offer["dph_base"] + storage_usd_per_hour(offer, storage_gib), 6)
    return {
        **offer,
        "dph_total": total,
        "discounted_dph_total": total,
        "storage_total_cost": round(storage_usd_per_hour(offer, storage_gib), 6),
        "dlperf_per_dphtotal": round(offer["dlperf"] / total, 3),
        "flops_per_dphtotal": round(offer["total_flops"] / total, 3),
    }


def storage_usd_per_hour(offer: Offer, storage_gib: float) -> float:
    """Return what a disk costs per hour; Vast.ai quotes GB and months of 30 days."""
    return float(offer["storage_cost"]) * storage_gib / HOURS_PER_MONTH
