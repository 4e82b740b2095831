"""What `load_params` accepts and how it refuses."""

import copy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hfi_core.errors import UserError
from hfi_core.params import Params, load_params, parse_params
from tests.support.projects import REPOSITORY, default_raw, small_raw, write_raw

RAW = default_raw()


def refusal(raw) -> str:
    with pytest.raises(UserError) as caught:
        parse_params(raw)
    return str(caught.value)


def at(raw, path):
    for key in path[:-1]:
        raw = raw[key]
    return raw, path[-1]


def changed(path, value):
    raw = copy.deepcopy(RAW)
    parent, last = at(raw, path)
    parent[last] = value
    return raw


def leaves(value, path=()):
    """Paths of every key of a mapping, at any depth, down to but not into lists."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, (*path, key))


def bounded(schema, value, path=()):
    """(path, a value just outside a bound) for each numeric bound of the JSON schema that the params reach."""
    schema = resolved(schema, value)
    if isinstance(value, dict):
        for key, child in value.items():
            by_name = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
            inner = schema.get("properties", {}).get(key) or next(filter(None, by_name), None)
            if inner:
                yield from bounded(inner, child, (*path, key))
        return
    whole = schema.get("type") == "integer"
    for bound, outside in {
        "minimum": lambda x: x - (1 if whole else 1e-6),
        "exclusiveMinimum": lambda x: x,
        "maximum": lambda x: x + (1 if whole else 1e-6),
        "exclusiveMaximum": lambda x: x,
    }.items():
        if bound in schema:
            yield path, outside(schema[bound])


def resolved(schema, value):
    while True:
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        elif "discriminator" in schema:
            tag = schema["discriminator"]
            schema = {"$ref": tag["mapping"][value[tag["propertyName"]]]}
        else:
            return schema


SCHEMA = Params.model_json_schema()
OUTSIDE = list(bounded(SCHEMA, RAW))
# Keys of these mappings are names that a user chooses; without a value of theirs the mapping may still be whole.
CHOSEN = {
    ("feedback", "simulated"), ("evaluate", "suites"), ("release", "gates"), ("concepts",), ("removals",),
    ("candidates", "drawn"), ("attacks",),
}  # fmt: skip
OPTIONAL = {
    "of_base", "at_most", "at_least", "not_worse_than_base_by", "role", "concept", "seeds", "guidances", "attackers",
    "word", "token", "reinvert_from", "learns", "words", "word_pictures", "anchors", "guidance_stop",
    ("invert", "contrast"), ("attacks", "reinverted", "contrast"),  # a removal's contrast is required
}  # fmt: skip
REQUIRED = [path for path in leaves(RAW) if path[:-1] not in CHOSEN and not {path, path[-1]} & OPTIONAL]


def test_the_repository_s_own_params_are_valid():
    assert load_params(REPOSITORY / "params.yaml").release.row == "anchored"


def test_the_small_params_of_the_tests_are_valid(miniature):
    assert parse_params(small_raw(miniature)).feedback.simulated == {}


@pytest.mark.parametrize(("path", "value"), OUTSIDE, ids=[f"{'.'.join(p)}={v}" for p, v in OUTSIDE])
def test_a_value_outside_a_bound_is_refused_by_its_key(path, value):
    message = refusal(changed(path, value))
    assert f"{'.'.join(path)}: " in message and str(value) in message


def test_the_bounds_that_are_tried_reach_every_section():
    assert {path[0] for path, _ in OUTSIDE} == {
        "seed", "compute", "sampler", "candidates", "feedback", "annotation", "reward", "invert", "removals", "attacks",
        "evaluate",
    }  # fmt: skip


@pytest.mark.parametrize("path", REQUIRED, ids=".".join)
def test_a_missing_key_is_named(path):
    raw = copy.deepcopy(RAW)
    parent, last = at(raw, path)
    del parent[last]
    assert f"{'.'.join(path)}: missing key" in refusal(raw)


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        (("sed",), "seed"),
        (("compute", "treads"), "threads"),
        (("sampler", "guidence"), "guidance"),
        (("concepts", "badge", "prompt"), "prompts"),
        (("removals", "anchored", "rolouts"), "rollouts"),
        (("evaluate", "judge", "treshold"), "threshold"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(path, nearest):
    message = refusal(changed(path, 1))
    assert f"{'.'.join(path)}: unknown key; did you mean `{nearest}`?" in message


def test_an_unknown_key_like_nothing_known_is_refused_without_a_guess():
    assert "zzzzqq: unknown key\n" in refusal(changed(("zzzzqq",), 1)) + "\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "high", None, [1.0], {"a": 1}])
def test_a_number_that_is_none_is_refused(value):
    assert "sampler.guidance: " in refusal(changed(("sampler", "guidance"), value))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("feedback", "file"), "../elsewhere.jsonl", "inside the project"),
        (("feedback", "file"), "/etc/passwd", "inside the project"),
        (("feedback", "file"), "a/../../b", "inside the project"),
        (("model", "digest"), "sha256:short", "model.digest"),
        (("compute", "device"), "gpu", "compute.device"),
        (("concepts", "badge", "text"), "medal", "does not contain the concept's text"),
        (("concepts", "badge", "text"), "bad", "does not contain the concept's text 'bad' as whole words"),
        (("concepts", "badge", "prompts"), [], "concepts.badge.prompts"),
        (("concepts", "badge", "prompts"), ["a badge", "a red badge", "a badge"], "prompt 'a badge' occurs twice"),
        (("evaluate", "suites", "unrelated", "prompts"), ["a cup", "a cup"], "prompt 'a cup' occurs twice"),
        (("concepts",), {}, "concepts"),
        (("concepts",), {"../up": RAW["concepts"]["badge"]}, "concepts"),
        (
            ("candidates", "drawn"),
            {},
            "each concept must be in candidates.drawn, in candidates.imported or in both",
        ),
        (
            ("candidates", "drawn"),
            {"badge": 8, "medal": 8},
            "each concept must be in candidates.drawn, in candidates.imported or in both",
        ),
        (
            ("candidates", "imported"),
            {"medal": "data/candidates/queue"},
            "each concept must be in candidates.drawn, in candidates.imported or in both",
        ),
        (("candidates", "imported"), {"badge": "candidates/badge"}, "the pipeline writes to"),
        (("candidates", "imported"), {"badge": "../queue"}, "inside the project"),
        (("removals", "base"), RAW["removals"]["anchored"], "base: {method: none}"),
        (("removals", "second"), {"method": "none"}, "only the removal `base`"),
        (("removals", "anchored", "method"), "magic", "removals.anchored"),
        (("release", "row"), "nobody", "release.row"),
        (
            ("release", "gates"),
            {"flagged@broad": {}},
            "one of at_most, at_least, not_worse_than_base_by and not_worse_by",
        ),
        (("release", "gates"), {"flagged@brod": {"at_most": 1}}, "release.gates.flagged@brod: a figure is called"),
        (("release", "gates"), {"flagged": {"at_most": 1}}, "and the suites are broad, precise, neighbours, unrelated"),
        (("evaluate", "suites"), {}, "suite 'broad' is missing"),
        (("model", "source"), "models/mine", "feedback.simulated.crowd is for the embedded model only"),
        (("feedback", "simulated"), {}, "is in feedback/, where the simulation writes and which git ignores"),
        (("evaluate", "judge", "kind"), "clip", "needs source, flagged and accepted"),
        (
            ("evaluate", "judge", "digest"),
            RAW["clip"]["digest"],
            "evaluate.judge has the same digest as clip: the judge of the evaluation",
        ),
        (
            ("evaluate", "judge", "digest"),
            RAW["feedback"]["simulated"]["crowd"]["digest"],
            "evaluate.judge has the same digest as feedback.simulated.crowd",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused(path, value, words):
    assert words in refusal(changed(path, value))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_content_of_any_other_shape_is_a_user_error(raw):
    with pytest.raises(UserError):
        parse_params(raw)


@given(st.sampled_from(REQUIRED), st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_any_single_value_is_accepted_or_is_a_user_error(path, value):
    try:
        parse_params(changed(path, value))
    except UserError as error:
        assert str(error).startswith("params.yaml is not valid:\n")


def test_params_are_frozen():
    params = parse_params(RAW)
    with pytest.raises(ValidationError):
        params.seed = 1
    with pytest.raises(ValidationError):
        params.concepts["badge"].pictures = 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00seed", "cannot be read"),
        (b"seed: [1, 2", "cannot be read"),
        (b"", "contains nothing"),
        (b"- 1\n- 2\n", "contains list"),
        (b"seed: !!python/object/apply:os.getcwd []\n", "cannot be read"),
        (b"a: &a [1]\nb: " + b"[" * 5000, "cannot be read"),
        (b"#" * (1024 * 1024 + 1), "1 MiB"),
        (b"seed: 1\nseed: 2\n", "seed"),
    ],
    ids=["not UTF-8", "torn", "empty", "a list", "a tag", "deep", "huge", "twice"],
)
def test_a_file_that_is_not_a_mapping_of_plain_yaml_is_a_user_error(tmp_path, content, words):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        load_params(path)
    assert "params.yaml" in str(caught.value) and len(str(caught.value)) < 2000


@pytest.mark.timeout(10)
def test_a_few_lines_that_stand_for_gigabytes_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 12)]
    path = tmp_path / "params.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match="alias"):
        load_params(path)


def test_a_few_aliases_are_read(tmp_path):
    raw = copy.deepcopy(RAW)
    raw["clip"] = raw["model"]
    write_raw(tmp_path, raw)
    path = tmp_path / "params.yaml"
    assert "*" in path.read_text() and load_params(path).clip == load_params(path).model


def test_dvc_and_we_read_a_merge_key_alike_and_a_repeated_key_is_refused_all_the_same(tmp_path):
    from dvc.utils.serialize import load_path
    from dvc_objects.fs.local import LocalFileSystem

    path = REPOSITORY / "params.yaml"
    rows = load_params(path).model_dump(mode="json")["removals"]
    assert rows["sdd-token"] == rows["sdd-text"] | {"condition": "token"}
    assert load_path(str(path), LocalFileSystem())["removals"] == rows
    text = path.read_text().replace("    condition: token\n", "    condition: token\n    condition: token\n")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match="'condition' occurs twice"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("moved", "kept", "words"),
    [
        (("publish",), (), r"params.yaml holds publish: this section belongs in \S*operations.yaml. To fix this"),
        (("publish", "tracking"), ("publish",), r"belong in \S*operations.yaml, which holds publish, too"),
        (("seed",), (), r"operations.yaml holds seed, which belongs in \S*params.yaml"),
    ],
)
def test_a_section_in_the_wrong_file_or_in_both_is_refused_with_the_right_place(tmp_path, moved, kept, words):
    write_raw(tmp_path, RAW)
    files = [tmp_path / "params.yaml", tmp_path / "operations.yaml"]
    contents = [yaml.safe_load(file.read_text()) for file in files]
    for key in moved:
        source = int(key in contents[1])
        contents[1 - source][key] = contents[source][key]
        if key not in kept:
            del contents[source][key]
    for file, content in zip(files, contents, strict=True):
        file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=words):
        load_params(files[0])


def test_without_operations_each_missing_section_is_named_with_its_file(tmp_path):
    write_raw(tmp_path, RAW)
    (tmp_path / "operations.yaml").unlink()
    with pytest.raises(UserError, match="operations.yaml: tracking: missing key"):
        load_params(tmp_path / "params.yaml")


def with_prompts(folder, content: bytes, **suite):
    """A project whose suite `unrelated` names a file of prompts."""
    (folder / "prompts").mkdir()
    (folder / "prompts/mine.txt").write_bytes(content)
    raw = copy.deepcopy(RAW)
    pictures = raw["evaluate"]["suites"]["unrelated"]["pictures"]
    raw["evaluate"]["suites"]["unrelated"] = {"file": "prompts/mine.txt", "pictures": pictures} | suite
    write_raw(folder, raw)
    return folder / "params.yaml"


def test_prompts_in_a_file_are_read_as_if_they_were_in_the_params(tmp_path):
    prompts = RAW["evaluate"]["suites"]["unrelated"]["prompts"]
    lines = ["\ufeff# Other things.", "", *(f"  {prompt}" for prompt in prompts), "# the end"]
    params = load_params(with_prompts(tmp_path, "\r\n".join(lines).encode()))
    assert params.model_dump() == parse_params(RAW).model_dump()
    assert params.evaluate.suites["unrelated"].file == "prompts/mine.txt"


@pytest.mark.parametrize(
    ("content", "suite", "words"),
    [
        (b"a cup\n", {"prompts": ["a cup"]}, "unrelated: a suite has either prompts or file, not both"),
        (b"# a cup\n", {}, "prompts/mine.txt has no prompt"),
        (b"\xff\n", {}, "prompts/mine.txt cannot be read"),
        (b"a cup\na cup\n", {}, "unrelated: prompt 'a cup' occurs twice"),
        (b"#" * (8 * 1024 * 1024 + 1), {}, "larger than 8 MiB"),
        (b"", {"file": "prompts"}, "cannot be read"),
        (b"", {"file": "prompts/yours.txt"}, "the file of prompts prompts/yours.txt is missing"),
        (b"", {"file": "../mine.txt"}, "a path inside the project is expected"),
        (b"", {"file": None}, "file must be the path of a file of prompts"),
    ],
    ids=["both", "none in it", "not UTF-8", "twice", "huge", "a folder", "missing", "outside", "null"],
)
def test_a_file_of_prompts_that_cannot_be_used_is_refused(tmp_path, content, suite, words):
    with pytest.raises(UserError, match=words):
        load_params(with_prompts(tmp_path, content, **suite))


def test_a_folder_and_a_missing_file_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_params(tmp_path)
    with pytest.raises(UserError, match="is missing. To fix this: run the command in a project's folder"):
        load_params(tmp_path / "params.yaml")


def test_a_file_with_thousands_of_mistakes_gives_a_short_message(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("\n".join(f"unknown{n}: 1" for n in range(5000)))
    with pytest.raises(UserError, match="more") as caught:
        load_params(path)
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize("section", [("model",), ("clip",), ("evaluate", "judge")])
@pytest.mark.parametrize("revision", ["main", "v1.0", "fp16", "refs/pr/3", "39593d5", "g" * 40])
def test_a_revision_that_is_not_a_commit_is_refused(section, revision):
    message = refusal(changed((*section, "revision"), revision))
    assert ".".join(section) + ".revision: a commit of 40 hexadecimal digits is expected" in message
    assert revision[:8] in message


@pytest.mark.parametrize("name", ["broad", "objectionable", "worst_attack", "Mine"])
def test_an_attack_has_a_name_of_its_own(name):
    raw = copy.deepcopy(RAW)
    raw["attacks"] = {name: raw["attacks"]["reinverted"]}
    assert f"attacks.{name}" in refusal(raw)


def test_attackers_need_pictures_that_no_removal_saw():
    raw = changed(("feedback", "held_out_for_attacks"), 0)
    assert "attackers need pictures that no removal saw" in refusal(raw)
    assert parse_params(raw | {"attacks": {}}).attacks == {}
