"""What a figure is measured on."""

import os
import platform
from pathlib import Path

import torch

from flows.runtime.device import with_local_device
from hfi_core.params import Params, load_params


def params() -> Params:
    """The project's params, with this machine's device."""
    return with_local_device(load_params(Path("params.yaml")))


def gpu() -> str:
    """The GPU on which the project is computed here, if it is."""
    device = params().compute.device
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else ""


def describe() -> str:
    """One line: processor, cores in use, memory, versions, and the accelerator if there is one."""
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
