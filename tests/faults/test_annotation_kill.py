"""A judgement that the annotation server acknowledged is in the store exactly once, however often the server dies."""

import random
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from hfi_core.feedback.store import open_store
from tests.support.annotation_server import Server, write_project
from tests.support.annotator import Annotator
from tests.support.servers import free_port

PEOPLE = 4
PICTURES = 40


class Load(threading.Thread):
    """One person who answers, and corrects earlier answers, as fast as the server takes them."""

    def __init__(self, address: str, name: str, over: threading.Event):
        super().__init__(name=name)
        self.annotator, self.over = Annotator(address, name), over
        self.acknowledged: dict[str, tuple[str, str]] = {}
        self.error: Exception | None = None

    def run(self) -> None:
        """Answer until it is over; nothing that was sent is left unacknowledged."""
        try:
            self._answer()
        except Exception as error:  # a thread's errors are lost otherwise
            self.error = error

    def _answer(self) -> None:
        rng = random.Random(self.name)
        self.annotator.sign_in()
        answered: dict[str, tuple[dict, str]] = {}
        while not self.over.is_set():
            if not self.annotator.questions and len(answered) < PICTURES:
                self.annotator.fetch()
            answer = rng.choice(("yes", "no", "cant_tell"))
            if self.annotator.questions:
                question = self.annotator.questions.popleft()
                row = self.annotator.judgement(question, answer)
            else:
                question, earlier = answered[rng.choice(sorted(answered))]
                row = self.annotator.judgement(question, answer, supersedes=earlier)
            self.annotator.save(row)
            if rng.random() < 0.1:
                self.annotator.save(row)  # the page did not hear the first answer
            self.acknowledged[row["id"]] = (row["picture"], answer)
            answered[row["picture"]] = (question, row["id"])


def _survives(folder: Path, environment: dict[str, str], kills: int) -> None:
    server = Server(write_project(folder, PICTURES, judgements=PEOPLE), free_port(), environment)
    over = threading.Event()
    rng = random.Random(kills)
    people = [Load(server.address, f"person {n}", over) for n in range(PEOPLE)]
    server.start()
    try:
        for person in people:
            person.start()
        for _ in range(kills):
            before = sum(len(person.acknowledged) for person in people)
            while sum(len(person.acknowledged) for person in people) < before + 5:
                assert all(person.is_alive() for person in people), [person.error for person in people]
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
            server.kill()
            server.start()
        over.set()
        for person in people:
            person.join(timeout=120)
            assert not person.is_alive() and person.error is None, person.error
    finally:
        over.set()
        server.stop()

    sent = {id: answer for person in people for id, answer in person.acknowledged.items()}
    assert sum(person.annotator.retries for person in people) >= kills, "no kill fell into a request"
    with sqlite3.connect(folder / "feedback.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with open_store(f"sqlite:///{folder / 'feedback.db'}") as store:
        stored = list(store.read_judgements("badge"))
        counting = list(store.read_judgements("badge", counting=True))
    assert {judgement.id: (judgement.picture, judgement.answer) for judgement in stored} == sent
    assert max(Counter(judgement.id for judgement in stored).values()) == 1
    assert max(Counter((judgement.annotator, judgement.picture) for judgement in counting).values()) == 1


@pytest.mark.timeout(600)
def test_a_server_killed_under_load_keeps_every_acknowledged_judgement_once(tmp_path, forked):
    _survives(tmp_path / "project", forked, kills=5)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_server_killed_two_hundred_times_under_load_keeps_every_acknowledged_judgement_once(tmp_path, forked):
    _survives(tmp_path / "project", forked, kills=200)
