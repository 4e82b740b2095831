"""Where the files of a project lie: the only place that spells their paths."""

from pathlib import Path

RELEASE = Path("release")
EVALUATION = Path("reports/evaluation.json")

PARAMS = Path("params.yaml")
