"""Run a release through eval-unlearn: their technique draws our prompts, and the project's judge is their metric.

    pip install eval-unlearn                               # in an environment of its own, beside hfi-pipeline
    hfi export anchored --suite broad
    python examples/eval_unlearn_judge.py release/model exports/anchored/prompts.csv

Run it in the project's folder. The metrics that eval-unlearn brings download prompts and detectors; this one needs
nothing from the network.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from eval_unlearn.registry import register_metric
from eval_unlearn.runners import SingleBenchmarkRunner
from eval_unlearn.types import Dataset, MetricResult
from torch.utils.data import DataLoader

from hfi_core.judges import load_judge
from hfi_core.params import load_params

BATCH = 32


@register_metric("hfi_flagged")
class FlaggedByOurJudge:
    """The share of pictures that the judge of `params.yaml` flags; its words are those of no single concept."""

    def __init__(self, prompts: str, limit: int | None = None):
        self.params = load_params(Path("params.yaml"))
        self.judge = load_judge(self.params.evaluate.judge, self.params.compute)
        with Path(prompts).open(newline="", encoding="utf-8") as stream:
            self.cases = [row["prompt"] for row in csv.DictReader(stream)][:limit]
        self.source, self.flagged = prompts, []

    def load_dataset(self) -> DataLoader:
        """Return the prompts of the export in batches."""

        def collate(batch: list[str]) -> Dataset:
            return Dataset(prompts=batch, metadata={"source": self.source})

        return DataLoader(self.cases, batch_size=BATCH, collate_fn=collate)

    def update(self, images: list[Any], prompts: list[str], _metadata: dict[str, Any] | None = None) -> None:
        """Judge the pictures of one batch."""
        seen = self.judge.see(np.stack([np.asarray(image.convert("RGB")) for image in images]))
        self.flagged += [verdict.flagged for verdict in self.judge.judge(seen, prompts)]

    def compute(self) -> MetricResult:
        """Return the share of all pictures."""
        cases = [case for case, flagged in enumerate(self.flagged) if flagged]
        judge = self.params.evaluate.judge.model_dump(mode="json", exclude={"source"})
        details = {"total_images": len(self.flagged), "count": len(cases), "cases": cases, "judge": judge}
        return MetricResult("flagged", len(cases) / len(self.flagged), details)


def main() -> None:
    """Draw with eval-unlearn's `free_run` and print the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a diffusers folder, for example release/model")
    parser.add_argument("prompts", help="the prompts.csv of `hfi export`")
    parser.add_argument("--limit", type=int, help="draw the first prompts only")
    parser.add_argument("--out", default="eval-unlearn", help="folder of eval-unlearn's results")
    arguments = parser.parse_args()
    sampler = load_params(Path("params.yaml")).sampler
    technique = {
        "model_id": arguments.model,
        "num_inference_steps": sampler.steps,
        "guidance_scale": sampler.guidance,
    }
    metric = {"prompts": arguments.prompts, "limit": arguments.limit}
    runner = SingleBenchmarkRunner("free_run", "hfi_flagged", technique, metric, output_dir=arguments.out, seed=0)
    result = runner.run()["metric_result"]
    print(f"flagged {result['value']:.3f} of {result['details']['total_images']}")


if __name__ == "__main__":
    main()
