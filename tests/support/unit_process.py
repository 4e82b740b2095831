"""One unit in a process of its own, as `hfi stage` runs it. What takes seconds to import is imported once, for all."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

import diffusers.loaders  # noqa: F401 - what stages import late, for the server that processes are forked from
import transformers.models.clip.modeling_clip  # noqa: F401
from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401

from flows.execution.unit import run_unit
from hfi_core.params import load_params
from hfi_core.pipeline.graph import units_of
from tests.support.loop import Sign

_FORKED = multiprocessing.get_context("forkserver")


class Running:
    """A unit that runs, and the signs of progress that it gives."""

    def __init__(self, folder: Path, address: str) -> None:
        _FORKED.set_forkserver_preload([__name__])
        self._signs, theirs = _FORKED.Pipe(duplex=False)
        self._process = _FORKED.Process(target=_run, args=(folder, address, theirs))
        self._process.start()
        theirs.close()

    def next_sign(self) -> Sign | None:
        """The next sign of progress; None once the process has ended."""
        try:
            return self._signs.recv()
        except EOFError:
            return None

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()

    def wait(self) -> int:
        """How it ended: 0, or the number of the signal less than 0."""
        self._process.join()
        return self._process.exitcode


def _run(folder: Path, address: str, signs: Connection) -> None:
    os.chdir(folder)
    params = load_params(Path("params.yaml"))
    unit = next(unit for unit in units_of(params) if unit.address == address)
    run_unit(unit, params, progress_callback=lambda *sign: signs.send(sign))
