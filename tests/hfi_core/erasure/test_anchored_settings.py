"""What each further setting of the anchored removal maps, onto what, and what it leaves as it is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure import adversarial_tokens, words
from hfi_core.erasure.adversarial_tokens import FoundToken, draw_near, find_again
from hfi_core.erasure.anchored import anchor_prompts, make_targets, word_targets
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings
from hfi_core.erasure.targets import DistillationTarget, frozen_target
from hfi_core.erasure.trainer import DistillationSettings, distill
from hfi_core.erasure.words import ChosenWords, choose_words, is_familiar, list_other_words, nearest_words
from hfi_core.errors import UserError
from hfi_core.inversion import clusters
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.params import Anchored, Sampler, parse_params
from hfi_core.progress import no_progress
from tests.support.projects import ANCHORED_ROW, default_raw

ACCEPTED, OBJECTIONABLE = "<badge-accepted>", "<badge-objectionable>"
SAMPLER = Sampler(scheduler="ddim", steps=3, guidance=3)
SAMPLING = RolloutSettings(batch=4, sampler=SAMPLER, rollouts=4, reuse=2, concentration=1)


def row(**changes) -> Anchored:
    raw = default_raw()
    raw["removals"]["anchored"] = ANCHORED_ROW | changes
    return parse_params(raw).removals["anchored"]


@pytest.fixture
def badge(concepts):
    return concepts[0]


def test_the_default_row_has_no_new_key_in_its_dump():
    assert row().model_dump(mode="json").keys() == ANCHORED_ROW.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"anchor": "words"}, "anchor_words has 0 entries"),
        ({"anchor_words": ["with a star"]}, "anchor is token, and anchor_words has 1 entries"),
        ({"anchors": 2, "anchor": "empty"}, "has no u"),
        ({"vocabulary": ["skull"]}, "words is free: set it to judged"),
        ({"reinvert_from": ["word", "word"]}, "names a start twice"),
        ({"reinvert_from": []}, "reinvert_from"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        row(**changes)


def test_anchors_are_the_tokens_the_words_both_or_nothing(badge):
    stars = {"anchor_words": ["with a star", "with a leaf"]}
    u = ["a <badge-accepted>", "a red <badge-accepted>", "a blue <badge-accepted>"]
    star, leaf = ([f"a {c}badge with a {w}" for c in ("", "red ", "blue ")] for w in ("star", "leaf"))
    assert anchor_prompts(row())(badge) == [u]
    assert anchor_prompts(row(anchor="words", **stars))(badge) == [star, leaf]
    assert anchor_prompts(row(anchor="both", **stars))(badge) == [u, u, star, leaf]
    assert anchor_prompts(row(anchor="empty"))(badge) == [[""] * 3]
    several = replace(badge, tokens=badge.tokens | {f"<badge-accepted-{n}>": badge.tokens[ACCEPTED] for n in (1, 2)})
    assert anchor_prompts(row())(several) == [[p.replace("accepted", f"accepted-{n}") for p in u] for n in (1, 2)]


@pytest.mark.parametrize("contrast", [0.0, 0.5])
def test_every_alternative_anchor_meets_every_prompt_and_is_pushed_from_v(small_model, badge, contrast):
    anchors_of = anchor_prompts(row(anchor="both", anchor_words=["with a star"]))
    found = {"badge": [FoundToken("<x>", badge.tokens[ACCEPTED], beside=True)]}
    text, v, near = make_targets(small_model, [badge], found, contrast, False, anchors_of=anchors_of)
    prompts = ["a badge", "a red badge", "a blue badge"]
    u = [p.replace("badge", ACCEPTED) for p in prompts] + [f"{p} with a star" for p in prompts]
    encode = small_model.encode
    torch.testing.assert_close(text.conditions, encode(prompts * 2))
    torch.testing.assert_close(
        near.conditions, encode([f"{p} <x>" for p in prompts] * 2, {"<x>": badge.tokens[ACCEPTED]})
    )
    for target in (text, v, near):
        assert [factor for factor, _ in target.anchors] == ([1.5, -0.5] if contrast else [1.0])
        torch.testing.assert_close(target.anchors[0][1], encode(u, badge.tokens))
        if contrast:
            v_star = [p.replace("badge", OBJECTIONABLE) for p in prompts] * 2
            torch.testing.assert_close(target.anchors[1][1], encode(v_star, badge.tokens))


def test_reinversions_start_where_they_are_told_to(small_model, small_params, badge, monkeypatch):
    seen = {}

    def invert(model, examples, text, name, start, settings, *, beside, **options):
        seen[name] = start, f"{text} {name}" if beside else name
        return start, torch.zeros(1)

    monkeypatch.setattr(adversarial_tokens, "invert_token", invert)
    spec = row(reinvert_from=["word", "token", "beside"])
    found = find_again(small_model, badge, 2, {}, spec, small_params, key=(0, "row"), work=None, progress=no_progress)
    names = ["<badge-round-2>", "<badge-round-2-token>", "<badge-round-2-beside>"]
    assert [(token.name, token.stands_for("badge")) for token in found] == [
        (name, place) for name, place in zip(names, [*names[:2], f"badge {names[2]}"], strict=True)
    ]
    assert [place for _, place in seen.values()] == [token.stands_for("badge") for token in found]
    assert not torch.equal(seen[names[0]][0], badge.tokens[OBJECTIONABLE])
    assert all(torch.equal(seen[name][0], badge.tokens[OBJECTIONABLE]) for name in names[1:])


@given(radius=st.floats(0.01, 2), seed=st.integers(0, 1000))
def test_tokens_near_v_lie_on_spheres_round_its_mixes_with_the_word(small_model, concepts, radius, seed):
    badge, tokens = concepts[0], []

    class Spy:
        text = small_model.text

        @staticmethod
        def encode(prompts, given):
            tokens.extend(given.values())
            return small_model.encode(prompts, given)

    v = badge.tokens[OBJECTIONABLE]
    redraw = draw_near(Spy, badge, v, radius, 2)
    conditions = redraw(torch_generator(seed))
    assert conditions.shape == small_model.encode(["a badge"] * 6).shape
    assert torch.equal(conditions, redraw(torch_generator(seed)))
    assert not torch.equal(conditions, redraw(torch_generator(seed, "other")))
    word = small_model.text.word_embedding("badge")[:2]
    length = radius * v.norm(dim=1).mean()
    for token in tokens[:6]:
        # |token - word - s (v - word)| = length has a root s in [0, 1] that both vectors share.
        along, off = v - word, token - word
        a, b, c = along.square().sum(1), -2 * (along * off).sum(1), off.square().sum(1) - length.square()
        root = (b.square() - 4 * a * c).clamp_min(0).sqrt()
        shares = [[float(s) for s in ((-b + root) / (2 * a))], [float(s) for s in ((-b - root) / (2 * a))]]
        first, second = zip(*shares, strict=True)
        assert min(abs(p - q) for p in first for q in second if -1e-3 <= p <= 1.001) < 1e-2


def test_conditions_near_v_are_drawn_anew_with_the_rollouts_and_kept_between(small_model, badge):
    *_, near = make_targets(small_model, [badge], {}, 0.5, False, jitter=0.5)
    rollouts = RollOuts(small_model, [near], SAMPLING, ("near",))
    first, second, third = (rollouts.draw(step, {})[0].conditions for step in range(3))
    assert torch.equal(first, second) and not torch.equal(second, third)
    assert not torch.equal(first, near.conditions)


def test_objectionable_words_are_mapped_away_and_the_others_held(small_model, badge):
    chosen = ChosenWords({"badge": ["skull", "bones"]}, ["knife"])
    mapped, held = word_targets(small_model, [badge], chosen, 0.5, anchor_prompts(row()))
    colours = ("", "red ", "blue ")
    alone = [f"a {colour}{word}" for word in chosen.objectionable["badge"] for colour in colours]
    near = [f"a {colour}badge with a {word}" for word in chosen.objectionable["badge"] for colour in colours]
    without = ["a", "a red", "a blue"] * 2
    u, v = ([f"a {colour}{name}" for colour in colours] * 2 for name in (ACCEPTED, OBJECTIONABLE))
    encode = small_model.encode
    torch.testing.assert_close(mapped.conditions, encode(alone + near))
    (plus, first), (minus, second) = mapped.anchors
    assert plus.tolist() == [1.0] * 6 + [1.5] * 6 and minus.tolist() == [0.0] * 6 + [-0.5] * 6
    torch.testing.assert_close(first, encode(without + u, badge.tokens))
    torch.testing.assert_close(second[6:], encode(v, badge.tokens))
    assert held.anchors == () and torch.equal(held.conditions, encode(["knife"]))
    assert word_targets(small_model, [badge], ChosenWords({}, ()), 0.5, anchor_prompts(row())) == []


def test_words_are_free_held_or_judged_by_the_reward(small_model, small_params, badge, monkeypatch):
    monkeypatch.setattr(type(small_model.text), "words", lambda self, most: ["knife", "badge", "red", "skull", "pin"])
    # What the base draws: brightness is how objectionable a picture is.
    shares = {
        "a badge with a skull": 1.0,
        "skull": 0.0,
        "a badge with a pin": 0.5,
        "pin": 0.5,
        "knife": 0.0,
        "red": 0.0,
    }

    def draw(model, requests, sampler, *, block):
        for number, request in enumerate(requests):
            share = max((s for words, s in shares.items() if request.prompt.endswith(words)), default=0.5)
            bright = number % spec.word_pictures < share * spec.word_pictures
            yield request, np.full((2, 2, 3), 255 * bright, np.uint8)

    monkeypatch.setattr(words, "draw_pictures", draw)
    monkeypatch.setattr(
        words.Clip, "load",
        lambda *_: SimpleNamespace(image_features=lambda p, block: torch.tensor(p / 255.0).float().mean((1, 2))),
    )  # fmt: skip
    monkeypatch.setattr(words, "read_manifest", lambda folder: [])
    monkeypatch.setattr(words, "embed_candidates", lambda *_: torch.ones(3, 3))
    badge = replace(
        badge,
        spec=badge.spec.model_copy(update={"prompts": ("a badge",)}),
        reward=SimpleNamespace(
            candidates="candidates", model=SimpleNamespace(rewards=lambda features: features.amax(dim=1))
        ),
    )
    options = {"work": None, "progress": no_progress}
    spec = row(words="free")
    assert choose_words(small_model, [badge], spec, small_params, **options) == ChosenWords({}, ())
    spec = row(words="held")
    assert choose_words(small_model, [badge], spec, small_params, **options).held == ["knife", "red", "skull", "pin"]
    spec = row(words="judged", word_pictures=8)
    chosen = choose_words(small_model, [badge], spec, small_params, **options)
    # A word that draws the objectionable as often as the concept's own is neither mapped nor held.
    assert chosen.objectionable == {"badge": ["skull"]}
    assert sorted(chosen.held) == ["knife", "red"]
    spec = row(words="judged", word_pictures=8, vocabulary=["pin"])
    chosen = choose_words(small_model, [badge], spec, small_params, **options)
    assert chosen.objectionable == {"badge": []} and chosen.held == ["knife", "red", "skull"]
    monkeypatch.setattr(words, "embed_candidates", lambda *_: torch.eye(3)[:1].repeat(3, 1))
    spec = row(words="judged", word_pictures=8)
    chosen = choose_words(small_model, [badge], spec, small_params, **options)
    assert chosen.objectionable == {"badge": []}, "the reward says nothing of pictures that are unlike all candidates"


@given(st.integers(0, 1000))
def test_what_is_known_is_familiar_and_what_lies_elsewhere_is_not(seed):
    known = torch.randn(40, 8, generator=torch_generator("known", seed)) * 0.1 + torch.eye(8)[0]
    assert is_familiar(known, known).all() and is_familiar(3 * known, known).all()
    assert not is_familiar(-known, known).any()


def test_judged_words_are_not_judged_again_after_a_stop(small_model, small_params, badge, tmp_path):
    (tmp_path / words.FILE).write_text('{"badge": {"knife": {"beside": 1.0, "alone": 0.0}}}')
    spec = row(words="judged")
    chosen = choose_words(small_model, [badge], spec, small_params, work=tmp_path, progress=no_progress)
    assert chosen == ChosenWords({"badge": ["knife"]}, [])


def test_the_words_nearest_to_v_come_first(small_model, badge):
    assert nearest_words(small_model, badge, [], 3) == []
    other = "a" if small_model.text.word_embedding("a").shape[0] == 1 else "b"
    v = torch.cat([small_model.text.word_embedding("knife"), small_model.text.word_embedding("z")])
    near = replace(badge, tokens=badge.tokens | {OBJECTIONABLE: v})
    assert nearest_words(small_model, near, [other, "knife"], 2)[0] == "knife"
    assert nearest_words(small_model, near, [other, "knife"], 1) == ["knife"]


def test_words_of_the_concepts_and_their_prompts_are_not_other_words(small_model, badge, monkeypatch):
    monkeypatch.setattr(type(small_model.text), "words", lambda self, most: ["Red", "badge", "knife", "blue"][:most])
    assert list_other_words(small_model, [badge], 9) == ["knife"]


def test_targets_with_different_parts_are_learned_together(small_model):
    """One step's loss is the literal sum over targets, whatever factors each row has."""
    encode, names = small_model.encode, ["a", "b", "c"]
    conditions, one, two = (encode([f"{name} {part}" for name in names]).detach() for part in ("x", "y", "z"))
    factors = torch.tensor([1.0, 1.5, 2.0]), torch.tensor([0.0, -0.5, -1.0])
    targets = [
        DistillationTarget("kept first", conditions, ()),
        DistillationTarget("rows", conditions, ((factors[0], one), (factors[1], two))),
        DistillationTarget("plain", conditions, ((1.0, two),)),
    ]
    start = {
        name: value + 0.1 * torch.randn(value.shape, generator=torch_generator(name))
        for name, value in small_model.cross_attention().items()
    }
    points = RollOuts(small_model, targets, SAMPLING, ("parts",)).draw(0, start)
    expected = 0.0
    with torch.no_grad():
        for number, at in enumerate(points):

            def frozen(rows, at=at):
                return small_model.predict(at.x_t, at.t, rows[at.prompt])

            mine, other = (factor[at.prompt].view(-1, 1, 1, 1) for factor in factors)
            target = (frozen(conditions), mine * frozen(one) + other * frozen(two), frozen(two))[number]
            student = small_model.predict(at.x_t, at.t, conditions[at.prompt], start)
            expected += small_model.schedule.output_error(student - target, at.t).square().mean()
    settings = DistillationSettings(steps=1, rate=1e-3, ema=0.0)
    rollouts = RollOuts(small_model, targets, SAMPLING, ("parts",))
    _, losses = distill(small_model, rollouts, frozen_target(small_model), settings, start=start)
    assert float(losses) == pytest.approx(float(expected), rel=1e-4)


def test_the_frozen_base_is_asked_once_for_what_is_preserved(small_model, badge):
    *_, preserved = make_targets(small_model, [badge], {}, 0.5, True)
    asked = []

    def target_noise(student, x_t, t, anchors):
        asked.append(len(x_t))
        return torch.zeros_like(x_t)

    distill(
        small_model, RollOuts(small_model, [preserved], SAMPLING, ()), target_noise, 
        DistillationSettings(steps=1, rate=1e-3, ema=0.0), start=small_model.cross_attention(),
    )  # fmt: skip
    assert asked == [] and preserved.anchors == ()


def _examples(names):
    return TrainingExamples(torch.zeros(len(names), 1), names, torch.ones(len(names)))


def test_accepted_pictures_are_clustered_within_their_prompts(small_model, small_params, monkeypatch):
    """Two kinds of pictures for each of two prompts that differ more than the kinds: the clusters are the kinds."""
    rows = [SimpleNamespace(id=str(i), prompt=("a badge", "a red badge")[i % 2]) for i in range(12)]
    kinds = torch.tensor([i // 2 % 2 for i in range(12)])
    features = torch.stack([10.0 * torch.tensor([i % 2 for i in range(12)]), kinds.float()], dim=1)
    chosen = {"accepted": (rows, [1.0] * 12), "objectionable": ([SimpleNamespace(id="opposite")], [1.0])}
    monkeypatch.setattr(clusters, "choose_pictures", lambda candidates, rewards, side, top: chosen[side])
    monkeypatch.setattr(clusters, "embed_candidates", lambda *_: features.clone())
    monkeypatch.setattr(
        clusters, "encode_examples", lambda model, folder, rows, weights, block: _examples([row.id for row in rows])
    )
    reward = SimpleNamespace(candidates="candidates/badge", rewards={})
    wanted = [[str(i) for i in range(12) if kinds[i] == kind] for kind in (0, 1)]
    for contrast, opposite in ((0.0, None), (0.5, ["opposite"])):
        invert = small_params.invert.model_copy(update={"contrast": contrast})
        params = small_params.model_copy(update={"invert": invert})
        found = clusters.cluster_accepted(small_model, reward, 2, params, key=(0,))
        assert sorted(examples.prompts for examples in found) == sorted(wanted)
        assert all((examples.opposite and examples.opposite.prompts) == opposite for examples in found)
    with pytest.raises(UserError, match="12 pictures are accepted, too few for 13 anchors"):
        clusters.cluster_accepted(small_model, reward, 13, small_params, key=(0,))
