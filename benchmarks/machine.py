"""Describe the machine on which a benchmark runs."""

import os
import platform
from pathlib import Path

import torch

from flows.runtime.device import with_local_device
from hfi_core.params import Params, load_params


def project_params() -> Params:
    """Read the project's params, with this machine's device."""
    return with_local_device(load_params(Path("params.yaml")))


def gpu_name() -> str:
    """Name the GPU that computes the project on this machine; empty where a processor does."""
    device = project_params().compute.device
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else ""


def describe() -> str:
    """Name processor, cores, memory, accelerator and versions in one line."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no accelerator"
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {device}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
