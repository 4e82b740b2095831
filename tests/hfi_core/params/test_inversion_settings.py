"""Settings of inversions that do not fit together are refused: of the tokens, and of attackers that invert again."""

import pytest

from hfi_core.errors import UserError
from hfi_core.params import parse_params
from tests.support.projects import default_raw


@pytest.mark.parametrize("section", ["invert", "attacks.reinverted"])
def test_contrast_needs_a_picture_of_each_side(section):
    raw = default_raw()
    settings = raw["invert"] if section == "invert" else raw["attacks"]["reinverted"]
    settings |= {"contrast": 0.5, "batch": 2}
    parse_params(raw)
    settings["batch"] = 1
    with pytest.raises(UserError, match=f"{section}.*half of each batch are pictures of the other side"):
        parse_params(raw)
    settings["contrast"] = 0
    parse_params(raw)


def test_an_attack_does_not_start_from_a_part_of_a_token():
    raw = default_raw()
    raw["invert"]["vectors"] = raw["attacks"]["reinverted"]["vectors"] + 1
    with pytest.raises(UserError, match="the token that it starts from has"):
        parse_params(raw)
    raw["attacks"]["reinverted"]["start"] = {"word": "badge"}
    parse_params(raw)
