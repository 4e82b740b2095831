"""Hand-made evaluations, and what is measured on them."""

import pytest

from hfi_core.evaluation.measure import build_evaluation
from hfi_core.evaluation.records import read_variants
from hfi_core.progress import no_progress
from tests.support.evaluations import small_params, write_files

FEEDBACK = {"badge": {"feedback_sha256": "ab" * 32, "simulated": True}}


@pytest.fixture(scope="module")
def params():
    return small_params()


@pytest.fixture(scope="module")
def rows(params, tmp_path_factory):
    files = write_files(tmp_path_factory.mktemp("rows"), params)
    return read_variants(files.inputs["evaluation"], list(params.removals))


@pytest.fixture(scope="module")
def evaluation(params, rows):
    return build_evaluation(params, rows, FEEDBACK, no_progress)
