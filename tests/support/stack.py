"""The services of compose.yaml without containers: the same commands in the same environment, at ports of this machine.

The two images that are not ours are stood in for: PostgreSQL by Debian's, the S3 server by moto's.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.support.projects import REPOSITORY
from tests.support.servers import free_port, running

COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
_ENTRYPOINT = ["hfi"]
"""The image's own."""
_PORTS = {"postgres": "5432", "s3": "8333", "prefect": "4200", "mlflow": "5000", "worker": "8080", "annotate": "8484"}


@dataclass
class Stack:
    """Where each service listens here, and in which folder and environment it is started."""

    folder: Path
    base: Mapping[str, str]
    """The environment of the image: PATH and the like."""
    values: Mapping[str, str]
    """What a person would write into `.env`."""
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in _PORTS})

    def here(self, text: str) -> str:
        """A text of compose.yaml as it is on this machine."""
        text = re.sub(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", lambda m: self.values.get(m[1], m[2] or ""), text)
        text = text.replace("0.0.0.0", "127.0.0.1").replace("172.30.84.1", "127.0.0.1")
        text = re.sub(rf"\b({'|'.join(_PORTS)})(?=:\d)", "127.0.0.1", text)
        for name, port in _PORTS.items():
            text = re.sub(rf"\b{port}\b", str(self.ports[name]), text)
        return text

    def command(self, name: str) -> list[str]:
        """What a service's container runs."""
        service = SERVICES[name]
        return [self.here(part) for part in (*service.get("entrypoint", _ENTRYPOINT), *service["command"])]

    def environment(self, name: str) -> dict[str, str]:
        """What it runs in."""
        variables = {key: self.here(str(value)) for key, value in SERVICES[name].get("environment", {}).items()}
        for volume, _, target in (one.partition(":") for one in SERVICES[name].get("volumes", [])):
            if volume in COMPOSE["volumes"]:
                variables = {
                    key: value.replace(target, str(self.folder.parent / volume)) for key, value in variables.items()
                }
        return dict(self.base) | variables

    def call(self, name: str, *command: str) -> subprocess.CompletedProcess:
        """`docker compose run --rm NAME [COMMAND...]`; it must succeed."""
        entrypoint = SERVICES[name].get("entrypoint", _ENTRYPOINT)
        done = subprocess.run(
            [*entrypoint, *command] if command else self.command(name), cwd=self.folder, env=self.environment(name),
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def up(self, name: str) -> Iterator[Path]:
        """A service, once its own health check passes; the file of what it says."""
        log = self.folder.parent / f"{name}.log"
        path = self.environment(name)["PATH"].split(os.pathsep)
        program, *arguments = self.command(name)
        found = next(Path(folder) / program for folder in path if (Path(folder) / program).exists())
        with running([found, *arguments], self.folder, log, self.environment(name)) as server:
            until = time.monotonic() + 180
            while not self.is_well(name):
                assert server.poll() is None and time.monotonic() < until, f"{name}:\n{log.read_text()[-4000:]}"
                time.sleep(0.5)
            yield log

    def is_well(self, name: str) -> bool:
        """What the service's health check says."""
        kind, *test = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        test = [self.here(part) for part in test]
        return subprocess.run(test, env=self.environment(name), capture_output=True, check=False).returncode == 0
