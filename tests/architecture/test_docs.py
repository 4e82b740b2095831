"""Documentation says what is so."""

import copy
import csv
import re
from pathlib import Path

import pytest
import yaml

from hfi_core.metrics.paired_tests import pairs_needed
from hfi_core.params import Params, parse_params
from hfi_core.pipeline.graph import STAGES
from tests.support.projects import CLOSED_FORM, REPOSITORY, default_raw

PAGES = sorted([*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md"])


def page(path: str) -> str:
    return (REPOSITORY / "docs" / path).read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_every_link_to_a_file_leads_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def headings(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_every_link_to_a_heading_leads_to_one(path: Path):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", path.read_text()):
        if "://" not in target:
            assert anchor in headings(path.parent / target if target else path), f"{target}#{anchor}"


def test_every_page_that_a_message_names_exists():
    named = {
        page
        for folder in ("hfi_core", "flows")
        for path in (REPOSITORY / folder).rglob("*.py")
        for page in re.findall(r"\bdocs/[\w/.-]+\.\w+", path.read_text())
    }
    assert named
    assert not {page for page in named if not (REPOSITORY / page).exists()}


def test_the_index_names_every_page():
    named = set(re.findall(r"\]\(([^)\s]+\.md)\)", page("README.md")))
    pages = {path.relative_to(REPOSITORY / "docs").as_posix() for path in (REPOSITORY / "docs").rglob("*.md")}
    assert pages - {"README.md"} <= named


def test_the_params_for_a_model_of_one_s_own_are_valid():
    fragment, judge = re.findall(r"```yaml\n(.*?)```", page("how-to/your-own-model.md"), re.DOTALL)
    raw = copy.deepcopy(default_raw()) | yaml.safe_load(fragment)
    raw["release"]["gates"] = {}
    params = parse_params(raw)
    assert params.evaluate.judge.kind == "clip" and not params.feedback.simulated
    raw["evaluate"] |= yaml.safe_load(judge)["evaluate"]
    assert parse_params(raw).evaluate.judge.kind == "nudenet"


def test_the_params_of_the_tuning_page_are_valid():
    raw, attackers = default_raw(), []
    for fragment in re.findall(r"```yaml\n(.*?)```", page("how-to/tune-a-removal.md"), re.DOTALL):
        for part, content in yaml.safe_load(fragment).items():
            raw[part] |= content
        attackers.append([(name, spec.attackers) for name, spec in parse_params(raw).attacks.items()])
    assert raw["removals"]["closed-form"] == CLOSED_FORM
    one, several, elsewhere = attackers
    assert one == [("reinverted", 1)] and several == [("reinverted", 4)]
    assert elsewhere == [(name, 1) for name in ("reinverted", "beside-word", "from-flagged-word", "six-vectors")]


def test_the_params_of_the_page_on_suites_are_valid(tmp_path):
    fragments = re.findall(r"```yaml\n(.*?)```", page("how-to/suites-of-prompts.md"), re.DOTALL)
    suites, concepts, gates = map(yaml.safe_load, fragments)
    raw = default_raw()
    raw["concepts"]["klara"] = raw["concepts"]["badge"]
    raw["candidates"]["drawn"]["klara"] = 8
    raw["evaluate"]["suites"] |= suites["evaluate"]["suites"] | concepts["evaluate"]["suites"]
    raw["evaluate"]["judge"] |= concepts["evaluate"]["judge"]
    raw["release"]["gates"] = gates["release"]["gates"]
    for suite in raw["evaluate"]["suites"].values():
        if file := suite.get("file"):
            lines = {".csv": "prompt,evaluation_seed,evaluation_guidance\na badge,1,7.5\n", ".txt": "a badge\n"}
            captions = '{"annotations": [{"caption": "a dog"}]}'
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(lines.get(Path(file).suffix, captions))
    evaluate = parse_params(raw, folder=tmp_path).evaluate
    assert (evaluate.suites["i2p"].seeds, evaluate.suites["klara"].concept) == ((1,), "klara")
    assert evaluate.judge.for_concept("klara").flagged == ("klara",)


def test_the_numbers_of_pictures_that_a_difference_takes_are_computed():
    rows = re.findall(r"^\| (\d+) points \|(.*)\|$", page("how-to/suites-of-prompts.md"), re.M)
    assert len(rows) == 4
    for points, cells in rows:
        for differing, cell in zip((0.05, 0.1, 0.2, 0.5), cells.split("|"), strict=True):
            if cell.strip():
                assert int(cell.replace(",", "")) == pairs_needed(int(points) / 100, differing, level=0.95)


def test_the_rows_of_the_page_on_other_people_s_models_are_valid():
    raw = default_raw()
    for fragment in re.findall(r"```yaml\n(.*?)```", page("how-to/judge-someone-elses-model.md"), re.DOTALL):
        raw["removals"] |= yaml.safe_load(fragment)["removals"]
    rows = parse_params(raw).removals.values()
    assert {row.kind for row in rows if row.method == "imported"} == {"pipeline", "unet", "text_encoder", "lora"}
    assert {row.condition for row in rows if row.method in ("negative", "sld")} == {"text", "token"}


def test_the_knobs_that_the_tuning_page_names_exist():
    known = {"ROW", "CONCEPT"}
    for definition in (Params.model_json_schema(), *Params.model_json_schema()["$defs"].values()):
        known |= set(definition.get("properties", {}))
    text = page("how-to/tune-a-removal.md")
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)(?:: [^`]*)?`", text)
    files = {"anchored", "sdd", "closed_form"}
    for name in named:
        if not name.endswith((".json", ".csv")):
            assert set(name.split(".")) <= known | files, name


def is_key(path: list[str], schema: dict) -> bool:
    """Whether a path leads somewhere in the params; a name that a user chooses may be any."""
    definitions = Params.model_json_schema()["$defs"]
    if "$ref" in schema:
        return is_key(path, definitions[schema["$ref"].rsplit("/", 1)[1]])
    if either := schema.get("anyOf") or schema.get("oneOf"):
        return any(is_key(path, one) for one in either)
    if not path:
        return True
    chosen = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    inner = [schema.get("properties", {}).get(path[0]), *chosen]
    return any(is_key(path[1:], one) for one in inner if isinstance(one, dict))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_every_key_that_a_page_spells_with_dots_exists(path: Path):
    schema = Params.model_json_schema()
    for name in re.findall(r"`([a-z_]+(?:\.[\w*@-]+)+)(?::[^`]*)?`", path.read_text()):
        if name.split(".")[0] in schema["properties"] and not name.endswith((".py", ".safetensors")):
            assert is_key(name.split("."), schema), name


def test_the_graph_on_the_architecture_page_has_every_stage_in_order():
    graph = page("explanation/architecture.md").split("## The graph")[1].split("```")[1]
    assert [line.split()[0] for line in graph.strip().splitlines()] == [stage.name for stage in STAGES]


def test_the_files_page_has_every_output():
    text = page("reference/files.md")
    for stage in STAGES:
        for path in stage.outputs.values():
            folder = path.split("/")[0]
            assert f"`{folder}/" in text or path.startswith("feedback/"), path


def test_the_exit_codes_are_those_of_the_command_line():
    from flows.cli.main import EPILOG, INTERRUPTED

    codes = re.findall(r"^\| (\d+) \|", page("reference/exit-codes-and-errors.md"), re.MULTILINE)
    assert codes == ["0", "1", "2", "3", str(INTERRUPTED)]
    assert re.findall(r"\b\d+\b", EPILOG) == codes


def test_the_commands_on_the_pages_exist():
    from typer.main import get_command

    from flows.cli.main import app

    known = get_command(app).commands
    for path in PAGES:
        for command in re.findall(r"`hfi ([a-z][a-z-]*)", path.read_text()):
            assert command in known, f"{path.name}: hfi {command}"


def test_the_citation_names_the_paper_and_its_authors():
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    paper = cited["preferred-citation"]
    assert paper["title"] == "Safeguard Text-to-Image Diffusion Models with Human Feedback Inversion"
    assert [author["family-names"] for author in paper["authors"]] == ["Kim", "Jung", "Kim", "Choi", "Shin", "Lee"]
    assert cited["license"] == "Apache-2.0" and cited["cff-version"] == "1.2.0"


def test_the_licence_is_apache_2_whole():
    text = (REPOSITORY / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_the_security_page_names_every_package_whose_licence_asks_for_more_than_a_notice():
    with (REPOSITORY / "docs/reference/licences.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    text = page("security.md")
    licensed = [row["Name"] for row in rows if re.search(r"GPL|MPL|EPL|Mozilla|Artistic|UNKNOWN", row["License"])]
    assert len(licensed) > 10 and not [name for name in licensed if f"`{name}`" not in text]
