"""Where the files of a project lie, relative to its folder: the only place that spells these paths."""

from pathlib import Path

PARAMS = Path("params.yaml")
OPERATIONS = Path("operations.yaml")
"""Settings that no stage depends on."""
DVC_YAML = Path("dvc.yaml")
DVC_LOCK = Path("dvc.lock")
STATE = Path(".hfi")
"""What one machine keeps for itself: checkpoints, locks, the annotation server's own database. Neither git nor DVC
sees it."""

CANDIDATES = Path("candidates")
"""A folder a concept: the pictures that people judge."""
IMPORTED = Path("data/candidates")
"""A folder a set: the pictures that `hfi candidates import` and `hfi round` bring."""
LABELS = Path("labels")
"""A folder a concept."""
REWARD = Path("reward")
"""A folder a concept: its reward model."""
TOKENS = Path("tokens")
"""A folder a concept: the soft tokens v* and u*."""
MODELS = Path("models")
"""A folder a removal: the weights that it changed."""
ATTACKS = Path("attacks")
"""A folder a removal: what the attackers found."""
EVALUATED_ROWS = Path("evaluation")
"""A folder a removal: its pictures, verdicts and features."""
RELEASE = Path("release")
JUDGES = Path("data/judges")
"""A folder a judge that `hfi judge fit` made."""
HUMAN_EVALUATION = Path("data/human_evaluation")
"""A folder a batch of pictures that people judge blind: the pictures, what each is, and what people said."""
HUMAN_EVALUATION_STORE = "sqlite:///human_evaluation.db"
"""The live store of judgements about these batches. It is not that of the feedback, which models learn from."""

EVALUATION = Path("reports/evaluation.json")
"""The figures of all rows, as the stage compare wrote them."""
REPORT_PAGE = Path("reports/report.html")
BANNER = Path("reports/plots/banner.png")
COST = Path("reports/cost.json")
"""Seconds and memory of each unit that ran on this machine."""
SAMPLES = Path("samples")
"""What `hfi sample` drew."""
EXPORTS = Path("exports")
"""What `hfi export` wrote for other harnesses, a folder a row."""
