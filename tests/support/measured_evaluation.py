"""Hand-made evaluations, and what is measured on them."""

import pytest

from hfi_core.evaluation.measure import evaluation_of
from hfi_core.evaluation.records import read_rows
from hfi_core.progress import no_progress
from tests.support.evaluations import small_params, write_files

FEEDBACK = {"badge": {"feedback_sha256": "ab" * 32, "simulated": True}}


@pytest.fixture(scope="module")
def params():
    return small_params()


@pytest.fixture(scope="module")
def rows(params, tmp_path_factory):
    files = write_files(tmp_path_factory.mktemp("rows"), params)
    return read_rows(files.inputs["evaluation"], list(params.removals))


@pytest.fixture(scope="module")
def evaluation(params, rows):
    return evaluation_of(params, rows, FEEDBACK, no_progress)
