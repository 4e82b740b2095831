"""Nothing that the page or the API says differs between a gold question and an ordinary one."""

import random
import re
import time

import pytest

from hfi_core.annotation.routes import timing
from hfi_core.annotation.service import questions, workspace
from hfi_core.feedback.store import open_store
from hfi_core.io.json_files import write_jsonl
from tests.support.annotation_project import create_annotation_project
from tests.support.annotation_requests import ApiClient, build_judgements, create_test_app

SENT_AT = {"now", "expires"}


@pytest.fixture
def _no_delays(monkeypatch):
    """Count the progress at each request, and do not round the durations."""
    monkeypatch.setattr(workspace, "MAX_PROGRESS_AGE_SECONDS", -1.0)
    monkeypatch.setattr(timing, "STEP_SECONDS", 0.001)


@pytest.fixture
def worlds(tmp_path, _no_delays, monkeypatch):
    """Two servers that differ only in whether the first question that they ask is a gold question."""
    projects = []
    for name, share in (("ordinary", 0.0), ("gold", 0.5)):
        project = create_annotation_project(tmp_path / name)
        project.gold("badge", {"badge-000": "yes", "badge-001": "yes"})
        project.edit(gold_share=share, qualification=0, judgements=1)
        projects.append(project)
    monkeypatch.setattr(questions, "random", FirstSlotOnly)
    one, other = (f"sqlite:///{project.folder}/feedback.db" for project in projects)
    with open_store(one) as store, open_store(other) as other_store:
        yield [ApiClient(create_test_app(*pair)) for pair in zip(projects, (store, other_store), strict=True)]


class FirstSlotOnly:
    """Let the first question of each annotator be a gold question, where there is a share of them."""

    class Random(random.Random):
        def random(self) -> float:
            return 0.4

    Random = Random


def shape(value, pictures: dict[str, str]):
    """Return JSON without what names a picture, a person or a moment, so that two worlds can be compared."""
    if isinstance(value, dict):
        return {key: "TIME" if key in SENT_AT else shape(item, pictures) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shape(item, pictures) for item in value]
    if isinstance(value, str):
        value = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", re.sub(r"\bv=[0-9a-f]{16}\b", "v=PART", value))
        return re.sub(r"badge-\d{3}", "PICTURE", value)
    return value


def conversation(api) -> list:
    """Ask for a question, do everything that one can do with it, and return whatever the server responds."""
    responses = []

    def record(response):
        headers = {k: v for k, v in response.headers.items() if k not in ("date", "set-cookie", "content-length")}
        body = shape(response.json(), {}) if "json" in headers.get("content-type", "") else None
        responses.append((response.status_code, headers, body))
        return response

    def ask(have=()):
        return record(api.post("/api/questions/badge", {"count": 1, "have": list(have)})).json()["questions"]

    def send(row):
        return record(api.post("/api/answers", {"judgements": [row]}))

    (question,) = ask()
    record(api.client.get(question["pictures"][0]["src"]))
    ask([question["refs"]])
    (row,) = build_judgements(question)
    send(row)
    send(row)  # again
    send(row | {"answer": "no"})  # the id with another answer
    send(row | {"id": "second"})  # a second answer that supersedes none
    send(row | {"id": "wrong", "supersedes": "nothing"})
    me = api.client.get("/api/session").json()["annotator"]
    picture = question["pictures"][0]["id"]
    send(row | {"id": "skipped", "supersedes": f"skip:{me}:badge:{picture}:0"})
    send(row | {"id": f"skip:{me}:badge:{picture}:0", "supersedes": row["id"], "answer": "cant_tell"})
    send(row | {"id": "third", "supersedes": row["id"]})  # superseded already
    send(row | {"id": "backwards", "supersedes": f"skip:{me}:badge:{picture}:0", "answered_at": row["shown_at"]})
    keys = ("concept", "pictures", "proof")
    record(api.post("/api/skips", [{key: part[key] for key in keys} for part in question["parts"]]))
    (following,) = ask()
    (later,) = build_judgements(following)
    send(later | {"id": row["id"]})  # the id of the first answer, for another question
    send(later | {"id": "later"})
    ask()
    for path in ("/", "/judge/badge"):
        text = api.get(path).text
        responses.append(re.findall(r"\d+ of \d+ judgements|\d+ (?:people|person)|\d+ pictures", text))
    return responses


def test_a_whole_conversation_about_a_gold_question_reads_as_about_an_ordinary_one(worlds):
    ordinary, gold = (conversation(api) for api in worlds)
    for step, (left, right) in enumerate(zip(ordinary, gold, strict=True)):
        assert left == right, f"step {step}"
    golden = worlds[1].client.app.state.workspace.gold_answers.list_answered_among_others("badge")
    assert golden and not worlds[0].client.app.state.workspace.gold_answers.list_answered_among_others("badge")


def test_a_skipped_question_that_is_answered_after_all_reads_alike(worlds):
    def skip_then_answer(api):
        (question,) = api.ask(count=1)["questions"]
        me, picture = api.client.get("/api/session").json()["annotator"], question["pictures"][0]["id"]
        part = {key: question["parts"][0][key] for key in ("concept", "pictures", "proof")}
        skipped = [api.post("/api/skips", [part]) for _ in range(2)]
        (row,) = build_judgements(question, id=f"skip:{me}:badge:{picture}:0")
        answers = [api.post("/api/answers", {"judgements": [row]}) for _ in range(2)]
        return [(response.status_code, response.json()) for response in (*skipped, *answers)], api.ask()["work"]

    ordinary, gold = map(skip_then_answer, worlds)
    assert ordinary == gold


def test_progress_grows_with_every_answer_and_is_full_only_when_the_judgements_are(tmp_path, _no_delays):
    project = create_annotation_project(tmp_path / "project")
    project.gold("badge", {f"badge-{n:03d}": "yes" for n in range(6)})
    project.edit(gold_share=0.5, qualification=0, judgements=1)
    with open_store(f"sqlite:///{project.folder}/feedback.db") as store:
        api = ApiClient(create_test_app(project, store))
        answered = []
        while questions := api.ask(count=1)["questions"]:
            api.answer(questions[0])
            progress = api.ask(count=1)
            assert set(progress["work"]) == {"pictures", "answered", "asked", "annotators"}
            answered.append(progress["work"]["answered"])
            assert (answered[-1] == 6) == (len(list(store.read_judgements())) == 6)
        assert answered == [min(n + 1, 5) for n in range(len(answered) - 1)] + [6]
        assert len(answered) > 6, "no gold question was asked"


def test_the_pictures_of_a_gold_ranking_count_as_those_of_another_one(tmp_path, _no_delays, monkeypatch):
    monkeypatch.setattr(questions, "random", FirstSlotOnly)
    project = create_annotation_project(tmp_path / "project", {"klara": "ranking"})
    first = project.pictures["klara"][:5]
    row = {
        "id": "gold-1", "annotator": "lead", "concept": "klara", "kind": "ranking",
        "groups": [[candidate.id] for candidate in first],
        "digests": {candidate.id: candidate.sha256 for candidate in first},
    }  # fmt: skip
    write_jsonl(project.folder / "gold.jsonl", [row])
    project.edit(gold="gold.jsonl", qualification=0, gold_share=0.5, ranked=5)
    with open_store(f"sqlite:///{project.folder}/feedback.db") as store:
        app = create_test_app(project, store)
        api, answered = ApiClient(app), [0]
        for n, question in enumerate(api.ask("klara", count=2)["questions"]):
            (part,) = question["parts"]
            digests = dict(zip(part["pictures"], part["sha256"], strict=True))
            sent = {"id": f"answer-{n}", "kind": "ranking", "concept": "klara", "proof": part["proof"]}
            sent |= {"groups": [[picture] for picture in part["pictures"]], "digests": digests}
            assert api.post("/api/answers", {"judgements": [sent]}).status_code == 200
            answered.append(api.ask("klara", count=1)["work"]["answered"])
        assert answered == [0, 5, 10]
        assert len(app.state.workspace.gold_answers.list_answered_among_others("klara")) == 1


def test_saving_takes_a_whole_number_of_steps_whatever_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "STEP_SECONDS", 0.5)
    project = create_annotation_project(tmp_path / "project")
    with open_store(f"sqlite:///{project.folder}/feedback.db") as store:
        api = ApiClient(create_test_app(project, store))
        (question,) = api.ask(count=1)["questions"]
        (row,) = build_judgements(question)
        part = {key: question["parts"][0][key] for key in ("concept", "pictures", "proof")}
        for path, body, status in (
            ("/api/answers", {"judgements": [row]}, 200),
            ("/api/answers", {"judgements": [row | {"answer": "no"}]}, 409),
            ("/api/skips", [part], 200),
        ):
            start = time.monotonic()
            assert api.post(path, body).status_code == status
            assert time.monotonic() - start >= 0.5
