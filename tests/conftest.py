"""Fixtures that several parts share: the miniature model, and a small project on it."""

import os

# Before torch or any tracker is imported: the machine's cores are shared, and no tracker reports test runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait take the cores from the others
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.update(DO_NOT_TRACK="1", MLFLOW_DISABLE_TELEMETRY="true", PREFECT_SERVER_ANALYTICS_ENABLED="false")

import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import postgresql as database
from tests.support.forking import SHARED, environment_with, fork_server, wait_for
from tests.support.once import once
from tests.support.projects import REPOSITORY, Project, write_project

os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])

# How fast an example runs says nothing on a shared machine.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

gc.disable()  # until the test files are imported, little is garbage: see pytest_collection_finish

pytest_plugins = ["tests.support.flow_fixtures", "tests.support.s3_fixtures"]

_LONG = ("tests/integration/", "tests/flows/", "tests/faults/", "tests/packaging/", "tests/architecture/")
_KINDS = ("integration", "browser", "faults", "cuda")
_PROCESSES = {"forks", "postgresql", "s3_port", "chromium"}
"""The fixtures that every server, browser and command of the tests rests on; a test that starts an interpreter has the
mark `integration`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its kind, and put what runs whole loops first.

    Several processes end together where the last tests are short.
    """
    for item in items:
        folder = item.nodeid.split("/")[1]
        if folder in _KINDS:
            item.add_marker(folder)
        elif folder == "packaging" or _PROCESSES & set(getattr(item, "fixturenames", ())):
            item.add_marker("integration")
        elif item.get_closest_marker("integration") is None:
            item.add_marker("unit")
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


def pytest_collection_finish() -> None:
    """Collect garbage again, but not among what the imports left: a look at all of it takes half a second."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _one_thread():
    """Keep torch, where a test has imported it, at one thread: sums are split by thread, and cores are shared."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def miniature(tmp_path_factory) -> Path:
    """A folder with a pipeline, CLIP and both judges of the right shapes, trained for three steps each."""
    import torch

    from hfi_core.embedded.build import build
    from hfi_core.embedded.training import MINIATURE

    torch.set_num_threads(1)
    return once(tmp_path_factory, "miniature", lambda folder: build(folder, MINIATURE))


@pytest.fixture(scope="session")
def miniature_signs(tmp_path_factory) -> Path:
    """The same of the second base model."""
    import torch

    from hfi_core.embedded.build import build
    from hfi_core.embedded.scenes import SIGNS
    from hfi_core.embedded.training import MINIATURE

    torch.set_num_threads(1)
    return once(tmp_path_factory, "miniature-signs", lambda folder: build(folder, MINIATURE, SIGNS))


@pytest.fixture
def project(miniature: Path, tmp_path: Path) -> Project:
    """A project of its own for one test, on the miniature model, with nothing run yet."""
    return write_project(tmp_path / "project", miniature)


_shared = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start one server that forks commands for all of pytest-xdist's processes, which inherit its address.

    Not for `make test-fast`: the unit tests start no commands, and the server's imports would take their time.
    """
    unit = config.getoption("markexpr").startswith("unit")
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput") and not unit:
        os.environ[SHARED] = _shared.enter_context(fork_server())


def pytest_unconfigure() -> None:
    """End it."""
    _shared.close()


@pytest.fixture(scope="session")
def forks() -> Iterator[str]:
    """The socket of a server that forks commands' processes."""
    with nullcontext(os.environ[SHARED]) if SHARED in os.environ else fork_server() as socket:
        if socket:
            wait_for(socket)
        yield socket


@pytest.fixture(scope="session")
def forked(tmp_path_factory, forks) -> dict[str, str]:
    """An environment in which the project's commands are forked: they and servers start in a part of a second."""
    return environment_with(tmp_path_factory.mktemp("bin"), forks)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[database.Server]:
    """A running PostgreSQL server."""
    if missing := database.missing():
        pytest.skip(missing)
    with database.running() as server:
        yield server
