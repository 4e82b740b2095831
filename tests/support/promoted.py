"""Versions in a registry whose alias `champion` is moved about, as a person in MLflow's UI would."""

import numpy as np

from flows.releases import register
from flows.releases.champion import read_champion, read_promotions, read_versions
from flows.releases.promotion import reconcile_promotions
from flows.tracking.client import registry_client
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_json, write_jsonl
from tests.support.fakes import write_sizes

MODEL = "emblems-safeguarded"


class Registry:
    """A project with some registered versions, and the registry as a person in MLflow's UI sees it."""

    def __init__(self, project):
        self.project = project
        self.client = registry_client(project.params)

    @property
    def params(self):
        return self.project.params

    def add(self, seed: int, flagged: int = 4) -> str:
        """Register another release of which `flagged` in 100 pictures are flagged; return its number."""
        release = self.project.folder / "release"
        release.mkdir(exist_ok=True)
        write_json(release / "content.json", {"seed": seed})
        write_sizes(release)
        digest = f"sha256:{sha256_of_file(release / 'content.json')}"
        write_json(release / "digests.json", {"files": {"content.json": digest}})
        records = [
            {"suite": "broad", "index": i, "prompt": f"badge {i % 10}", "seed": i, "flagged": i < flagged,
             "kept": i >= flagged, "correct": True, "readable": True}
            for i in range(100)
        ]  # fmt: skip
        row = self.project.folder / "evaluation/anchored"
        write_jsonl(row / "pictures.jsonl", records)
        for i in range(8):
            save_image(row / f"pictures/broad/{i:05d}.png", np.full((8, 8, 3), 20 * i, np.uint8))
        rows = [
            {"row": name, "metrics": {"flagged@broad": {"value": value, "low": value, "high": value, "n": 100}}}
            for name, value in (("base", 0.5), ("anchored", flagged / 100))
        ]
        write_json(self.project.folder / "reports/evaluation.json", {"rows": rows, "attacks": {}})
        return register.register(self.params).version

    def move(self, version: str) -> None:
        self.client.set_registered_model_alias(MODEL, "champion", version)

    def reconcile(self, **options):
        return reconcile_promotions(self.params, **options)

    @property
    def champion(self) -> str | None:
        return read_champion(self.client, MODEL)

    def tags(self, version: str) -> dict[str, str]:
        return self.client.get_model_version(MODEL, version).tags

    def state(self) -> tuple:
        """Return everything that a promotion leaves, except the time."""
        recorded = read_promotions(read_versions(self.client, MODEL).values())
        versions = read_versions(self.client, MODEL)
        refused = [version for version in versions if "promotion_refused" in self.tags(version)]
        folder = self.project.folder / "published"
        published = sorted(path.relative_to(folder) for path in folder.rglob("*") if not path.name.startswith("."))
        records = [(each.version, each.number, each.by, each.published, each.override, each.line) for each in recorded]
        last = self.client.get_registered_model(MODEL).tags.get("promotion.last")
        approved = [version for version in versions if "approved_by" in self.tags(version)]
        return self.champion, records, sorted(refused), published, last, approved


def forget_engines():
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs

    for store in (Models, Runs):
        for engine in getattr(store, "_engine_map", {}).values():
            engine.dispose()
