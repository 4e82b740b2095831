"""People judge a batch of two rows blind, and what they say is on the page; training never sees it."""

import json
from pathlib import Path

import pytest

from hfi_core.evaluation.human_batch import Batch, KeyEntry, read_batch
from hfi_core.evaluation.records import read_variants
from hfi_core.feedback.store import open_store
from hfi_core.io.hashing import sha256_of_folder
from hfi_core.io.json_files import read_jsonl, write_jsonl
from hfi_core.pipeline.graph import STAGES
from tests.support.annotation_server import serving
from tests.support.annotator import Annotator
from tests.support.evaluations import small_params, write_files
from tests.support.flow_fixtures import REAL_GRAPH
from tests.support.human_evaluation import read_key
from tests.support.judging import draw_candidates
from tests.support.projects import write_raw

FILE = "data/human_evaluation/first/judgements.jsonl"
REVISION = str(next(stage.revision for stage in STAGES if stage.name == "compare"))


@pytest.fixture
def evaluated(fake_project):
    """A project whose feedback is by people, with candidates, a store, and two rows that the judge has judged."""
    raw = small_params().model_dump(mode="json")
    raw["removals"] = {row: raw["removals"][row] for row in ("base", "anchored")}
    raw["feedback"] |= {"file": "data/feedback/people.jsonl", "simulated": {}, "store": True, "minimum": 2}
    write_raw(fake_project.folder, raw)
    write_files(fake_project.folder, fake_project.params)
    draw_candidates(fake_project.folder / "candidates" / "badge", 6)
    (fake_project.folder / "labels.csv").write_text("picture,annotator,answer\nbadge-0001,Ana,yes\nbadge-0002,Ana,no\n")
    fake_project.hfi("feedback", "import", "labels.csv")
    return fake_project


def _training(project) -> tuple[bytes, bytes, str]:
    """Return what models learn from: the store's judgements, their snapshot, and the labels."""
    project.hfi("feedback", "export", "out.jsonl")
    project.hfi("feedback", "snapshot")
    files = (project.folder / "out.jsonl", project.folder / "data/feedback/people.jsonl")
    return *(path.read_bytes() for path in files), sha256_of_folder(project.folder / "labels")


def _flagged(project) -> dict[str, bool]:
    """Return the judge's verdict by the digest of a picture."""
    variants = read_variants(project.folder / "evaluation", ["base", "anchored"])
    return {record["sha256"]: record["flagged"] for variant in variants for record in variant.records}


def _judge(server, name: str, answers: dict[str, bool], limit: int | None = None) -> list[dict]:
    """Have a person answer all questions, or some, as a mapping of digests says. Return the questions."""
    person = Annotator(server.address, name, task="first")
    person.sign_in()
    asked: list[dict] = []
    while (limit is None or len(asked) < limit) and (person.questions or person.fetch()):
        question = person.questions.popleft()
        (digest,) = question["parts"][0]["sha256"]
        person.save(person.judgement(question, "yes" if answers[digest] else "no"))
        asked.append(question)
    return asked


def test_a_batch_is_judged_blind_and_comes_back_as_figures_with_agreement(evaluated):
    folder, answers = evaluated.folder, _flagged(evaluated)
    before = _training(evaluated)

    said = evaluated.hfi("human-evaluation", "create", "first", "--pictures", "6").stdout
    assert "24 pictures of base, anchored on broad, precise, in a random order" in said
    assert "hfi annotate --human-evaluation first" in said
    assert "Nobody has judged first yet" in evaluated.hfi("human-evaluation", "collect", "first", code=2).stderr

    with serving(folder, evaluated.environment, "--human-evaluation", "first") as server:
        assert "/judge/first" in server.output
        asked = _judge(server, "Ana", answers)
        _judge(server, "Ben", answers, limit=23)
    assert len(asked) == 24
    told = json.dumps(asked)
    assert not any(word in told for word in ("base", "anchored", "broad", "precise"))
    assert all(question["pictures"][0]["prompt"] is None for question in asked)

    said = evaluated.hfi("human-evaluation", "collect", "first").stdout
    assert "11 pictures of each row" in said and "1 have fewer than 2 judgements in some row: left out" in said
    assert f"people: {{file: {FILE}}}" in said

    # A third person judged elsewhere, and objected to everything.
    batch = read_batch(folder / "data/human_evaluation/first")
    pictures = sorted({entry.picture for entry in read_key(batch)})
    lines = ["picture,annotator,answer", *(f"{picture}.png,Cleo,yes" for picture in pictures)]
    (folder / "elsewhere.csv").write_text("\n".join(lines) + "\n")
    refused = evaluated.hfi("feedback", "import", "elsewhere.csv", code=2).stderr
    assert "24 rows are rejected, so nothing was imported" in refused
    said = evaluated.hfi("feedback", "import", "elsewhere.csv", "--human-evaluation", "first").stdout
    assert "24 new judgements" in said and "hfi human-evaluation collect first" in said
    assert "12 pictures of each row" in evaluated.hfi("human-evaluation", "collect", "first").stdout
    content = (folder / FILE).read_text()
    assert not any(name in content for name in ("Ana", "Ben", "Cleo")) and '"simulated": true' not in content

    # Nothing of this is feedback that a model learns from.
    assert _training(evaluated) == before
    with open_store(f"sqlite:///{folder}/feedback.db") as store:
        assert {judgement.concept for judgement in store.read_judgements()} == {"badge"}

    evaluated.edit(evaluate__people={"file": FILE})
    _compare(evaluated)
    evaluation = json.loads((folder / "reports/evaluation.json").read_text())
    rows = {row["row"]: row["metrics"] for row in evaluation["rows"]}
    for row in ("base", "anchored"):
        for suite in ("broad", "precise"):
            entries = [entry for entry in read_key(batch) if (entry.row, entry.suite) == (row, suite)]
            figure = rows[row][f"flagged_by_people@{suite}"]
            assert figure["n"] == 6 and figure["low"] <= figure["value"] <= figure["high"]
            assert figure["value"] == pytest.approx(_share(entries, batch), abs=1e-6)
    assert evaluation["people"]["annotators"] == 3 and evaluation["people"]["alpha"]["value"] < 1
    compared = [c for c in evaluation["comparisons"] if c["metric"] == "flagged_by_people@precise"]
    assert [(c["row"], c["against"], c["n"]) for c in compared] == [("anchored", "base", 6)]
    page = (folder / "reports/report.html").read_text(encoding="utf-8")
    assert "Judged by people</h3>" in page and "flagged_by_people@broad" in page and "3 people gave" in page
    assert "flagged_by_people@broad" in (folder / "reports/metrics.json").read_text()
    said = evaluated.hfi("report").stdout
    assert "3 people gave" in said and "judge's kappa" in said


def _share(entries: list[KeyEntry], batch: Batch) -> float:
    """Return the share of pictures with a majority of yes, counted from the file of judgements."""
    said = [(line["sha256"], line["answer"]) for line in read_jsonl(batch.judgements)]
    majorities = [said.count((entry.sha256, "yes")) > said.count((entry.sha256, "no")) for entry in entries]
    return sum(majorities) / len(majorities)


def _compare(project, code: int = 0) -> str:
    project.call(REAL_GRAPH, "params", "sync")
    done = project.call(REAL_GRAPH, "stage", "compare", "--revision", REVISION, code=code)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_mistakes_are_one_message_with_exit_code_two(evaluated):
    folder = evaluated.folder

    def refused(*arguments: str) -> str:
        done = evaluated.hfi(*arguments, code=2)
        assert "Traceback" not in done.stderr and done.stderr.startswith("Error: ")
        return done.stderr

    assert "no row 'another'" in refused("human-evaluation", "create", "first", "--row", "another")
    assert "no suite 'brod'" in refused("human-evaluation", "create", "first", "--suite", "brod")
    assert "name of a concept" in refused("human-evaluation", "create", "badge")
    assert "batch is missing. To make it" in refused("human-evaluation", "collect", "first")
    assert "batch is missing. To make it" in refused("annotate", "--human-evaluation", "first")
    assert "batch is missing. To make it" in refused("feedback", "import", "x.csv", "--human-evaluation", "first")
    (folder / "evaluation/anchored/pictures.jsonl").rename(folder / "away.jsonl")
    assert "evaluation/anchored is missing. To make it: `hfi run`" in refused("human-evaluation", "create", "first")
    assert not (folder / "data/human_evaluation").exists()
    evaluated.edit(concepts__badge__feedback="ranking")
    assert "binary feedback in --concept" in refused("human-evaluation", "create", "first")


def test_a_row_that_was_drawn_again_is_refused_by_compare_and_nothing_is_written(evaluated):
    folder = evaluated.folder
    evaluated.hfi("human-evaluation", "create", "first", "--pictures", "2", "--suite", "precise")
    batch = read_batch(folder / "data/human_evaluation/first")
    lines = ["picture,annotator,answer,simulated"]
    lines += [f"{e.picture},{who},yes,true" for e in read_key(batch) for who in ("Ana", "Ben")]
    (folder / "elsewhere.csv").write_text("\n".join(lines) + "\n")
    evaluated.hfi("feedback", "import", "elsewhere.csv", "--human-evaluation", "first")
    evaluated.hfi("human-evaluation", "collect", "first")
    evaluated.edit(evaluate__people={"file": FILE})
    path = folder / "evaluation/anchored/pictures.jsonl"
    redrawn = [record | ({"sha256": "ab" * 32} if record["suite"] == "precise" else {}) for record in read_jsonl(path)]
    write_jsonl(path, redrawn)
    message = _compare(evaluated, code=2)
    assert "row anchored: it was drawn again since" in message and "hfi human-evaluation create NAME" in message
    assert not Path(folder / "reports/evaluation.json").exists()
