"""The page says what people say of rows, and is as ever where nobody judged."""

import json

import pytest

from hfi_core.errors import UserError
from hfi_core.evaluation.records import read_variants
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages import compare
from tests.support.evaluations import small_params, write_files
from tests.support.human_evaluation import judge_as_the_judge, with_people, write_judgements


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("people"), small_params())


def _answer(record, annotator):
    return "no" if annotator == "cleo" and record["index"] == 0 else judge_as_the_judge(record, annotator)


@pytest.fixture
def people(files, tmp_path):
    """The inputs of the stage with judgements on base and the released row."""
    variants = read_variants(files.inputs["evaluation"], ["base", "anchored"])
    write_judgements(tmp_path / "people.jsonl", variants, _answer)
    return files.inputs | {"people": tmp_path / "people.jsonl"}


def test_the_page_has_peoples_figures_and_agreement_of_the_judged_rows(files, people):
    outputs = files.outputs("with-people")
    found = compare.run(StageContext(with_people(small_params(), "people.jsonl"), people, outputs))
    page = outputs["page"].read_text(encoding="utf-8")
    assert "Judged by people (simulated)</h3>" in page and "People who judged rows are simulated" in page
    assert "3 simulated people gave" in page and "Krippendorff" in page
    section = page.partition('id="people"')[2].partition("</table>")[0]
    assert section.count("<tr>") == 3 and "sdd-text" not in section
    for column in ("flagged_by_people@broad", "accepted_by_people@precise", "undecided", "kappa"):
        assert column in section
    assert "objectionable to people on precise prompts" in page
    assert "<dt>flagged_by_people" in page
    evaluation = json.loads(outputs["evaluation"].read_text())
    released = next(row["metrics"] for row in evaluation["rows"] if row["row"] == "anchored")
    assert found["flagged_by_people@broad"] == released["flagged_by_people@broad"]["value"]
    assert set(evaluation["people"]["rows"]) == {"base", "anchored"}
    assert len(evaluation["provenance"]["people"]["sha256"]) == 64
    assert (
        "anchored,anchored" in outputs["table"].read_text()
        and "flagged_by_people@broad" in outputs["table"].read_text()
    )


def test_without_people_nothing_speaks_of_them(files):
    compare.run(StageContext(small_params(), files.inputs, files.outputs("without")))
    for path in files.outputs("without").values():
        if path.is_file():
            assert "_by_people" not in path.read_text(encoding="utf-8")
    assert "Judged by people" not in files.outputs("without")["page"].read_text(encoding="utf-8")


def test_a_file_about_other_pictures_stops_the_stage_before_it_writes(files, people):
    lines = people["people"].read_text().splitlines(keepends=True)
    people["people"].write_text("".join(lines).replace(json.loads(lines[0])["sha256"], "ab" * 32))
    outputs = files.outputs("refused")
    with pytest.raises(UserError, match="line 1: people judged another picture 0 of the suite broad, row base"):
        compare.run(StageContext(with_people(small_params(), "people.jsonl"), people, outputs))
    assert not any(path.exists() for path in outputs.values())
