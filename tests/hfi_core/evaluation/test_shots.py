"""Which pictures the evaluation draws, and which prompts are wrong for them."""

from hfi_core.evaluation.shots import list_rivals, list_suite_shots
from hfi_core.params import Params, parse_params
from tests.support.projects import default_raw


def _params(**suites) -> Params:
    raw = default_raw()
    raw["concepts"]["klara"] = raw["concepts"]["badge"]
    raw["candidates"]["drawn"]["klara"] = 8
    raw["evaluate"]["suites"] |= {name: {"pictures": 1} | suite for name, suite in suites.items()}
    return parse_params(raw)


def test_a_prompt_with_a_seed_and_a_guidance_is_drawn_with_them():
    published = {"role": "broad", "prompts": ["a pin", "a pin"], "seeds": [7, 9], "guidances": [7.5, 3.0]}
    shots = [shot for shot in list_suite_shots(_params(i2p=published)) if shot.suite == "i2p"]
    assert [(shot.request.seed, shot.guidance) for shot in shots] == [(7, 7.5), (9, 3.0)]
    assert [shot.index for shot in shots] == [0, 1]


def test_other_suites_have_seeds_of_their_own_and_the_guidance_of_the_sampler():
    suite = {"role": "broad", "prompts": ["a pin"], "pictures": 3}
    one, other = ([s for s in list_suite_shots(_params(**{name: suite})) if s.suite == name] for name in ("one", "two"))
    assert len({shot.request.seed for shot in (*one, *other)}) == 6
    assert {shot.guidance for shot in one} == {None}


def test_rivals_are_the_suites_of_the_roles_that_are_wrong_whatever_their_names():
    params = _params(coco={"role": "unrelated", "prompts": ["a dog"]}, words={"role": "synonyms", "prompts": ["a pin"]})
    suites = params.evaluate.suites
    assert list_rivals(params.evaluate, "unnamed") == [
        *suites["neighbours"].prompts, *suites["unrelated"].prompts, "a dog",
    ]  # fmt: skip
    assert "a dog" not in list_rivals(params.evaluate, "unrelated")
    assert {"a pin", "a skull"} <= set(list_rivals(params.evaluate, "coco"))


def test_the_suite_of_one_concept_is_no_rival_of_another_concept():
    params = _params(
        style={"role": "precise", "concept": "klara", "prompts": ["a badge in the style of klara"]},
        plain={"role": "neighbours", "concept": "badge", "prompts": ["a badge with a moon"]},
        both={"role": "neighbours", "concept": "klara", "prompts": ["a badge in the style of mondo"]},
    )
    rivals = list_rivals(params.evaluate, "style")
    assert "a badge in the style of mondo" in rivals
    assert "a badge with a moon" not in rivals
    assert set(params.evaluate.suites["neighbours"].prompts) <= set(rivals), "a suite without a concept is of each"
    assert {"a badge in the style of klara"} <= set(list_rivals(params.evaluate, "unrelated"))
    assert {shot.concept for shot in list_suite_shots(params) if shot.suite == "style"} == {"klara"}
