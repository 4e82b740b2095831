"""The Prefect flow and `dvc repro` leave the same bytes, in two fresh clones, on the embedded model.

In `make soak` each command imports everything anew, as a user's does; in `make test` it is forked.
"""

import pytest
import yaml

from tests.support.clones import Clone, clone
from tests.support.forking import REAL


@pytest.fixture(scope="module", params=["forked", pytest.param("anew", marks=pytest.mark.soak)])
def clones(request, forked, tmp_path_factory) -> tuple[Clone, Clone]:
    """Two clones, one brought up to date by `hfi run`, the other by `dvc repro`."""
    base = tmp_path_factory.mktemp("clones")
    environment = forked if request.param == "forked" else forked | REAL
    by_flow, by_dvc = clone(base / "flow", environment), clone(base / "dvc", environment)
    by_flow.command("hfi", "run")
    by_dvc.command("dvc", "repro")
    return by_flow, by_dvc


@pytest.mark.timeout(600)
def test_every_output_is_equal_to_the_byte(clones):
    by_flow, by_dvc = (made.outputs() for made in clones)
    assert by_flow
    assert by_flow == by_dvc


def test_both_leave_the_same_lock(clones):
    by_flow, by_dvc = (yaml.safe_load((made.folder / "dvc.lock").read_text()) for made in clones)
    assert by_flow == by_dvc


def test_after_either_dvc_is_clean_and_the_other_finds_nothing_to_do(clones):
    by_flow, by_dvc = clones
    for made in clones:
        assert "up to date" in made.command("dvc", "status")
    assert "didn't change" in by_flow.command("dvc", "repro")
    before = by_dvc.outputs()
    assert "nothing to do" in by_dvc.command("hfi", "run").lower()
    assert by_dvc.outputs() == before


def test_git_is_clean_but_for_the_lock(clones):
    for made in clones:
        assert made.command("git", "status", "--porcelain").split() == ["??", "dvc.lock"]


def test_metrics_and_plots_are_shown_by_dvc(clones):
    by_flow, _ = clones
    assert "flagged@broad" in by_flow.command("dvc", "metrics", "show")
    assert "index.html" in by_flow.command("dvc", "plots", "show")
