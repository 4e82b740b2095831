"""Names of pictures, as tools write them: each fits one picture or is rejected."""

import unicodedata

import pytest

from hfi_core.candidates.manifest import Candidate, Original
from hfi_core.feedback.formats.pictures import PictureIndex

FILES = (
    "b00.png", "photo 1.png", "set/a+b.png", "a#b.png", "50%20off.png", "x/same.png", "y/same.png", "a b.png",
    "c+d.png", "caf\u00e9.png", "what?.png", "v.png",
)  # fmt: skip


def imported(*files: str) -> PictureIndex:
    rows = [
        Candidate(
            id=f"q-{number}",
            sha256=f"{number + 1:064x}",
            generated=False,
            original=Original(
                file=file, sha256=f"{number + 900:064x}", copies=("copy/v2.png",) if file == "v.png" else ()
            ),
        )
        for number, file in enumerate(files)
    ]
    return PictureIndex({"badge": rows})


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("b00.png", "b00.png"),
        ("round1/b00.png", "b00.png"),
        (r"C:\queue\b00.png", "b00.png"),
        ("https://x/b00.png?d=identicon", "b00.png"),
        ("https://x/b00.png?token=a/photo.png#top", "b00.png"),
        ("s3://b/set/a+b.png", "set/a+b.png"),
        ("/data/local-files/?d=set/a+b.png", "set/a+b.png"),
        ("/data/local-files/?d=set/a%2Bb.png", "set/a+b.png"),
        ("http://localhost:8080/data/local-files/?d=photo%201.png", "photo 1.png"),
        ("/data/upload/1/1a2b3c4d-photo_1.png", "photo 1.png"),
        ("1a2b3c4d-photo_1.png", "photo 1.png"),
        ("https://host/data/upload/1/1a2b3c4d-b00.png", "b00.png"),
        ("s3://b/a#b.png", "a#b.png"),
        ("https://x/a%23b.png", "a#b.png"),
        ("s3://b/50%20off.png", "50%20off.png"),
        ("https://x/50%2520off.png", "50%20off.png"),
        ("https://x/photo%201.png", "photo 1.png"),
        ("s3://b/photo%201.png", "photo 1.png"),
        ("what?.png", "what?.png"),
        ("queue/x/same.png", "x/same.png"),
        (unicodedata.normalize("NFD", "caf\u00e9.png"), "caf\u00e9.png"),
        ("https://x/cafe%CC%81.png", "caf\u00e9.png"),
        ("copy/v2.png", "v.png"),
        ("v2.png", "v.png"),
        (f"{1:064x}", "b00.png"),
        (f"SHA256:{1:064x}", "b00.png"),
    ],
)
def test_a_name_is_read_as_its_tool_writes_it(name, file):
    assert imported(*FILES).find("badge", name).original.file == file


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("same.png", "fits 2 pictures"),
        ("/data/local-files/?d=a+b.png", "fits 2 pictures"),
        ("https://x/get?file=b00.png", "no picture"),
        ("photos/1a2b3c4d-b00.png", "no picture"),
        ("data:image/png;base64,b00.png", "no picture"),
        ("https://[/b00.png", "no picture"),
    ],
)
def test_a_name_of_none_or_of_two_is_rejected(name, reason):
    with pytest.raises(ValueError, match=reason):
        imported("a+b.png", "a b.png", "b00.png", "x/same.png", "y/same.png").find("badge", name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("round1/b00.png", "round2/b00.png"),
        ("b00.png", "round2/b00.png"),
        ("s3://one/b00.png", "s3://two/b00.png"),
        ("/data/upload/1/1a2b3c4d-b00.png", "/data/upload/1/5e6f7a8b-b00.png"),
    ],
)
def test_two_paths_that_end_in_one_known_name_are_rejected(first, second):
    index = imported(*FILES)
    index.find("badge", first)
    assert index.find("badge", first).original.file == "b00.png"
    with pytest.raises(ValueError, match="end in the same name"):
        index.find("badge", second)


def test_two_known_paths_are_two_pictures():
    index = imported(*FILES)
    assert index.find("badge", "x/same.png") != index.find("badge", "y/same.png")


def test_an_upload_name_that_two_files_have_is_rejected():
    with pytest.raises(ValueError, match="fits 2 pictures"):
        imported("photo 1.png", "photo_1.png").find("badge", "/data/upload/1/1a2b3c4d-photo_1.png")
