import re

import pytest

from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, parse_judgement
from tests.support.projects import REPOSITORY

PAGE = (REPOSITORY / "docs/reference/feedback-format.md").read_text(encoding="utf-8")
EXAMPLES = [line for block in re.findall(r"```jsonl\n(.*?)```", PAGE, re.S) for line in block.splitlines()]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_of_the_page_is_a_judgement(line):
    assert parse_judgement(line).id


def test_the_examples_use_every_field_and_both_kinds():
    used = {field for line in EXAMPLES for field in parse_judgement(line).model_fields_set}
    assert used == set(BinaryJudgement.model_fields) | set(RankingJudgement.model_fields)


@pytest.mark.parametrize("model", [BinaryJudgement, RankingJudgement])
def test_the_page_says_of_every_field_whether_it_is_required(model):
    fields = dict(re.findall(r"^\| `(\w+)` \| (required|optional) \|", PAGE, re.M))
    assert fields.keys() >= model.model_fields.keys()
    for name, field in model.model_fields.items():
        assert fields[name] == ("required" if field.is_required() else "optional"), name
