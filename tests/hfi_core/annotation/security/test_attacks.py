"""Attacks on the pictures and the answers of a whole application."""

import io
import struct
import zlib

import pytest
from limits import RateLimitItemPerMinute

from hfi_core.annotation.security import rate_limit
from tests.support.annotation_app import open_annotation_app
from tests.support.annotation_server import write_project
from tests.support.annotation_sign_in import make_account


@pytest.fixture
def annotation_app(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    with open_annotation_app(write_project(tmp_path / "project")) as annotation_app:
        yield annotation_app


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header gives an enormous size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(0, io.SEEK_END)
    out.write(chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b""))
    return out.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/badge/..%2f..%2f..%2fsecret", "/pictures/badge/../../../secret.png", "/pictures/../params.yaml",
        "/pictures/badge/%2e%2e%2fmanifest.jsonl", "/pictures/badge/badge-000000.png",
        "/pictures/..%2fbadge/badge-000000",
        "/pictures/badge/badge-999999", "/pictures/badge//etc/passwd", "/pictures/badge/%00", "/static/../page.py",
        "/static/..%2f..%2fpage.py", "/static/%2e%2e/accounts.py", "/.hfi/session.key",
        "/gallery/badge/..%2f0", "/gallery/badge/0",
    ],
)  # fmt: skip
def test_nothing_but_a_manifests_picture_is_served(annotation_app, path):
    browser = annotation_app.sign_in("Ana")
    answer = browser.get(path)
    assert answer.status_code in (404, 422), answer.text
    assert b"secret" not in answer.content
    assert browser.get("/pictures/badge/badge-000000").headers["content-type"] == "image/png"


def test_pictures_are_for_those_who_have_come_in(annotation_app):
    from tests.support.annotation_sign_in import Browser

    assert Browser(annotation_app.app).get("/pictures/badge/badge-000000").status_code == 401


@pytest.mark.parametrize("size", [(65_535, 65_535), (2**31 - 1, 1), (4097, 4096)])
def test_a_picture_of_hostile_size_is_not_handed_to_a_browser(annotation_app, size):
    candidate = annotation_app.candidates[0]
    path = annotation_app.folder / "candidates" / "badge" / candidate.file
    path.write_bytes(bomb(*size))
    assert annotation_app.sign_in("Ana").get(f"/pictures/badge/{candidate.id}").status_code == 410


def test_a_picture_that_was_put_in_anothers_place_is_not_shown(annotation_app):
    first, second, *_ = annotation_app.candidates
    folder = annotation_app.folder / "candidates" / "badge"
    (folder / first.file).write_bytes((folder / second.file).read_bytes())
    assert annotation_app.sign_in("Ana").get(f"/pictures/badge/{first.id}").status_code == 410


def answer_to(annotation_app, browser, **change):
    """Answer the next question with changed fields, and return the response and the answer."""
    asked = annotation_app.post(browser, "/api/questions/badge", {"have": [], "count": 1}).json()["questions"][0]
    (part,) = asked["parts"]
    row = {
        "id": "0f0e5b9a-0001", "kind": "binary", "concept": "badge", "picture": part["pictures"][0],
        "sha256": part["sha256"][0], "answer": "yes", "proof": part["proof"],
    } | change  # fmt: skip
    return annotation_app.post(browser, "/api/answers", {"judgements": [row]}), row


@pytest.mark.parametrize(
    "change",
    [
        {"picture": "badge-000011"}, {"picture": "../../x"}, {"proof": "0" * 64}, {"proof": None}, {"sha256": "0" * 64},
        {"concept": "other"}, {"annotator": "a-somebody"}, {"simulated": True}, {"id": "../x"}, {"id": "a b"},
        {"answer": "<script>"}, {"kind": "ranking"}, {"supersedes": "adjudication.of-somebody"},
    ],
)  # fmt: skip
def test_a_forged_answer_is_refused_and_nothing_is_kept(annotation_app, change):
    refused, _ = answer_to(annotation_app, annotation_app.sign_in("Ana"), **change)
    assert refused.status_code in (409, 422), refused.text
    assert list(annotation_app.store.read_judgements()) == []


def test_another_persons_proof_and_another_persons_id_are_worth_nothing(annotation_app):
    ana, bo = annotation_app.sign_in("Ana"), annotation_app.sign_in("Bo")
    response, row = answer_to(annotation_app, ana)
    assert response.status_code == 200
    assert annotation_app.post(bo, "/api/answers", {"judgements": [row]}).status_code == 409
    stolen, _ = answer_to(annotation_app, bo, id=row["id"], answer="no")
    assert stolen.status_code == 409
    corrected, _ = answer_to(annotation_app, bo, id="of-bo", supersedes=row["id"])
    assert corrected.status_code == 409
    (only,) = annotation_app.store.read_judgements()
    assert only.id == row["id"] and only.answer == "yes"


def test_an_annotator_cannot_make_a_judgement_look_like_a_leads(annotation_app):
    refused, _ = answer_to(annotation_app, annotation_app.sign_in("Ana"), id="adjudication.0000")
    assert refused.status_code == 409
    assert list(annotation_app.store.read_judgements()) == []


def test_a_list_of_skips_has_a_limit(annotation_app):
    ana = annotation_app.sign_in("Ana")
    asked = annotation_app.post(ana, "/api/questions/badge", {"count": 1}).json()["questions"][0]
    part = {key: asked["parts"][0][key] for key in ("concept", "pictures", "proof")}
    for number, status in ((50, 200), (51, 422), (5000, 422)):
        assert annotation_app.post(ana, "/api/skips", [part] * number).status_code == status


@pytest.mark.parametrize("path", ["/", "/sign-in", "/judge/badge", "/nothing"])
def test_a_websocket_upgrade_is_refused(annotation_app, path):
    from starlette.websockets import WebSocketDisconnect

    browser = annotation_app.sign_in("Ana")
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    refused = browser.get(path, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "no_websockets")
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect(path):
        pass


def test_one_session_cannot_ask_without_end_and_the_next_one_can(tmp_path, monkeypatch):
    monkeypatch.setattr(rate_limit, "_REQUESTS", RateLimitItemPerMinute(4))
    folder = write_project(tmp_path / "project")
    for name in ("Ana", "Bo"):
        make_account(folder / ".hfi", name)
    with open_annotation_app(
        folder, accounts=True, secure=True, hosts=frozenset({"annotate.example.org"})
    ) as annotation_app:
        ana, bo = annotation_app.sign_in("Ana"), annotation_app.sign_in("Bo")
        asked = [("/api/questions/badge", {"count": 1}), ("/api/skips", []), ("/api/answers", {"judgements": [{}]})]
        codes = [annotation_app.post(ana, path, body).status_code for path, body in asked * 2]
        assert codes == [200, 200, 409, 200, 429, 429]
        refused = annotation_app.post(ana, "/api/skips", [])
        assert refused.json()["code"] == "too_often" and refused.headers["retry-after"] == "60"
        assert annotation_app.post(bo, "/api/skips", []).status_code == 200
