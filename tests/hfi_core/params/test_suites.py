"""What a suite of prompts may say, and the files that it may be read from."""

import copy
import json

import pytest

from hfi_core.errors import UserError
from hfi_core.params import Params, parse_params
from tests.support.projects import default_raw

RAW = default_raw()


def with_suite(name: str, suite: dict, folder=None, **changes) -> Params:
    raw = copy.deepcopy(RAW)
    raw["release"]["gates"] = {}
    raw["evaluate"]["suites"][name] = suite
    raw["evaluate"] |= changes
    return parse_params(raw) if folder is None else parse_params(raw, folder=folder)


def refusal(*args, **options) -> str:
    with pytest.raises(UserError) as caught:
        with_suite(*args, **options)
    return str(caught.value)


def test_a_suite_may_have_any_name_and_says_its_role():
    params = with_suite("i2p", {"role": "broad", "prompts": ["a badge"], "pictures": 2})
    assert params.evaluate.suites["i2p"].role == "broad"
    assert params.evaluate.suites_of("broad") == ["broad", "i2p"]
    assert params.evaluate.suites["precise"].role == "precise", "a suite that is named after a role has it"


@pytest.mark.parametrize(
    ("name", "suite", "words"),
    [
        ("i2p", {}, "evaluate.suites.i2p.role: missing key"),
        ("i2p", {"role": "wide"}, "evaluate.suites.i2p.role"),
        ("precise", {"role": "broad"}, "suite 'precise' has the role 'broad'"),
        ("reinverted", {"role": "broad"}, "'reinverted' is the name of the pictures of an attack"),
        ("worst_attack", {"role": "broad"}, "'worst_attack' is the name of the pictures of an attack"),
        ("I2P", {"role": "broad"}, "evaluate.suites.I2P"),
        ("mine", {"role": "broad", "concept": "medal"}, "'medal' is not a concept"),
        ("mine", {"role": "broad", "prompt": "text"}, "the suite has no file"),
        ("mine", {"role": "broad", "seeds": [1, 2]}, "seeds has 2 values for 1 prompts"),
        ("mine", {"role": "broad", "guidances": []}, "guidances has 0 values for 1 prompts"),
        ("mine", {"role": "broad", "seeds": [1]}, "set pictures to 1"),
        ("mine", {"role": "broad", "seeds": [-1], "pictures": 1}, "seeds.0"),
        ("mine", {"role": "broad", "guidances": [0.5]}, "guidances.0"),
        (
            "mine",
            {"role": "broad", "prompts": ["a pin", "a pin"], "seeds": [4, 4], "pictures": 1},
            "prompt 'a pin' occurs twice with the seed 4",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(name, suite, words):
    assert words in refusal(name, {"prompts": ["a badge"], "pictures": 2} | suite)


@pytest.mark.parametrize("role", ["broad", "precise", "neighbours", "unrelated"])
def test_each_of_four_roles_must_occur_under_whatever_name(role):
    suites = copy.deepcopy(RAW["evaluate"]["suites"])
    moved = suites.pop(role)
    with pytest.raises(UserError, match=f"suite '{role}' is missing, and no other suite has this role"):
        with_suite("synonyms", suites["synonyms"], suites=suites)
    params = with_suite("synonyms", suites["synonyms"], suites=suites | {"mine": moved})
    assert params.evaluate.suites_of(role) == ["mine"]


I2P = """case_number,prompt,evaluation_seed,evaluation_guidance
0,"a badge, red",4068211935,7.5
1,a badge,12,8
2,a badge,13,7.5
"""


def test_a_csv_gives_each_prompt_its_seed_and_its_guidance(tmp_path):
    (tmp_path / "i2p.csv").write_text(I2P)
    columns = {"seed": "evaluation_seed", "guidance": "evaluation_guidance"}
    suite = {"role": "broad", "file": "i2p.csv", "pictures": 1} | columns
    read = with_suite("i2p", suite, tmp_path).evaluate.suites["i2p"]
    assert read.prompts == ("a badge, red", "a badge", "a badge")
    assert read.seeds == (4068211935, 12, 13)
    assert read.guidances == (7.5, 8.0, 7.5)


def test_a_column_that_is_not_named_is_not_read(tmp_path):
    (tmp_path / "i2p.csv").write_text("text,n\na badge,1\n")
    read = with_suite("i2p", {"role": "broad", "file": "i2p.csv", "prompt": "text", "pictures": 3}, tmp_path)
    assert read.evaluate.suites["i2p"].model_dump(exclude={"pictures"}) == {
        "role": "broad", "concept": None, "prompts": ("a badge",), "seeds": None, "guidances": None,
    }  # fmt: skip


def test_coco_captions_are_read_once_each(tmp_path):
    annotations = [{"image_id": 1, "caption": text} for text in (" a dog\n", "a cat", "a dog")]
    (tmp_path / "captions.json").write_text(json.dumps({"images": [], "annotations": annotations}))
    read = with_suite("coco", {"role": "unrelated", "file": "captions.json", "pictures": 1}, tmp_path)
    assert read.evaluate.suites["coco"].prompts == ("a dog", "a cat")


@pytest.mark.parametrize(
    ("file", "content", "suite", "words"),
    [
        ("a.csv", I2P, {"seed": "sd_seed"}, "has no column 'sd_seed', which seed names; it has case_number, prompt"),
        ("a.csv", I2P, {}, "prompt 'a badge' occurs twice"),
        ("a.csv", I2P, {"seed": "prompt"}, "line 2 has 'a badge, red' in the column 'prompt', where a whole number"),
        ("a.csv", "prompt,n\n,3\n", {}, "line 2 has no prompt in the column 'prompt'"),
        ("a.csv", "prompt,n\na,3,4\n", {}, "line 2 has 3 cells where the header has 2"),
        ("a.csv", "prompt,n\n", {}, "a.csv has no prompt"),
        ("a.csv", "prompt,n\na,nan\n", {"guidance": "n"}, "guidances.0"),
        ("a.txt", "a badge\n", {"seed": "n"}, "a.txt is not a CSV file"),
        ("a.json", "[1, 2]", {}, "not a file of COCO captions"),
        ("a.json", '{"annotations": [{"caption": 3}]}', {}, "not a file of COCO captions"),
        ("a.json", "{", {}, "a.json cannot be read"),
        ("a.csv", I2P, {"seed": "evaluation_seed", "seeds": [1, 2, 3]}, "either seeds or file"),
        ("a.csv", I2P, {"seed": 3}, "names of columns"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(tmp_path, file, content, suite, words):
    (tmp_path / file).write_text(content)
    assert words in refusal("mine", {"role": "broad", "file": file, "pictures": 1} | suite, tmp_path)


def test_a_concept_may_have_words_of_its_own_for_the_judge():
    judge = copy.deepcopy(RAW["evaluate"]["judge"])
    judge["concepts"] = {"badge": {"flagged": ["klara"], "accepted": []}}
    params = with_suite(
        "mine", {"role": "broad", "concept": "badge", "prompts": ["a badge"], "pictures": 1}, judge=judge
    )
    own = params.evaluate.judge.for_concept("badge")
    assert (own.flagged, own.digest) == (("klara",), params.evaluate.judge.digest)
    assert params.evaluate.judge.for_concept(None) is params.evaluate.judge
    judge["concepts"] = {"medal": {"flagged": ["klara"], "accepted": []}}
    words = refusal("synonyms", RAW["evaluate"]["suites"]["synonyms"], judge=judge)
    assert "evaluate.judge.concepts.medal: 'medal' is not a concept" in words
