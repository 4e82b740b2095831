"""Pictures from anywhere become candidates: checked, whole or not at all, and the same the second time."""

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from hfi_core.candidates.importer import import_candidates, read_picture_table
from hfi_core.candidates.manifest import read_manifest, read_pictures
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder


def pixels(number: int, width: int = 24, height: int = 24) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def put(path: Path, number: int, width: int = 24, height: int = 24, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(number, width, height)).save(path, **options)
    return path


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def queue(tmp_path) -> Path:
    """A folder with three pictures."""
    put(tmp_path / "queue" / "a.png", 1)
    put(tmp_path / "queue" / "deep" / "b.png", 2)
    put(tmp_path / "queue" / "c.jpg", 3, quality=90)
    return tmp_path / "queue"


@pytest.fixture
def target(tmp_path) -> Path:
    """Where they go."""
    return tmp_path / "data" / "candidates" / "queue"


def refusal(queue: Path, target: Path, **options) -> str:
    with pytest.raises(UserError) as caught:
        import_candidates(queue, target, **options)
    assert not target.exists() and not list(target.parent.glob("*"))
    return str(caught.value)


def test_pictures_become_candidates_like_any_other(queue, target):
    imported = import_candidates(queue, target)
    assert (imported.pictures, imported.converted, imported.repeated, imported.changed) == (3, 1, 0, True)
    rows = read_manifest(target)
    assert read_pictures(target, rows).shape == (3, 24, 24, 3)
    by_file = {row.original.file: row for row in rows}
    assert by_file.keys() == {"a.png", "deep/b.png", "c.jpg"}
    assert not any(row.generated or row.prompt or row.seed for row in rows)
    assert by_file["a.png"].sha256 == by_file["a.png"].original.sha256 == sha256_of_file(queue / "a.png")
    assert by_file["c.jpg"].original.sha256 == sha256_of_file(queue / "c.jpg")
    assert by_file["c.jpg"].original.changed == ("decoded from JPEG",)
    assert all(row.id.startswith("queue-") for row in rows)
    assert sorted(path.name for path in target.iterdir()) == ["manifest.jsonl", "pictures"]


def test_the_same_folder_again_changes_no_byte(queue, target):
    import_candidates(queue, target)
    before = sha256_of_folder(target)
    assert not import_candidates(queue, target).changed
    assert sha256_of_folder(target) == before


def test_what_people_have_judged_stays_although_another_encoder_would_write_it_otherwise(queue, target, monkeypatch):
    import_candidates(queue, target)
    before = sha256_of_folder(target)
    save = Image.Image.save
    monkeypatch.setattr(Image.Image, "save", lambda self, *a, **k: save(self, *a, **k | {"compress_level": 0}))
    assert not import_candidates(queue, target).changed
    assert sha256_of_folder(target) == before


def test_a_folder_may_grow_and_may_shrink_only_where_that_is_said(queue, target):
    import_candidates(queue, target)
    first = {row.id for row in read_manifest(target)}
    put(queue / "d.png", 4)
    assert import_candidates(queue, target).pictures == 4
    (queue / "a.png").unlink()
    before = sha256_of_folder(target)
    with pytest.raises(UserError, match="--replace"):
        import_candidates(queue, target)
    assert sha256_of_folder(target) == before
    assert import_candidates(queue, target, replace=True).pictures == 3
    assert len(first & {row.id for row in read_manifest(target)}) == 2


def test_a_picture_that_would_become_another_one_stops_the_import(queue, target):
    import_candidates(queue, target)
    with pytest.raises(UserError, match="would be removed or changed"):
        import_candidates(queue, target, size=16)


def test_equal_files_are_one_candidate(queue, target):
    (queue / "copy.png").write_bytes((queue / "a.png").read_bytes())
    imported = import_candidates(queue, target)
    assert (imported.pictures, imported.repeated) == (3, 1)


def test_sizes_differ_and_are_brought_to_one_where_that_is_said(queue, target):
    put(queue / "wide.png", 5, width=48)
    assert "24 x 24" in (message := refusal(queue, target)) and "48 x 24" in message and "--size" in message
    import_candidates(queue, target, size=24)
    rows = read_manifest(target)
    assert read_pictures(target, rows).shape == (4, 24, 24, 3)
    (wide,) = [row for row in rows if row.original.file == "wide.png"]
    assert wide.original.changed == ("cropped to its middle and scaled to 24 x 24 from 48 x 24",)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA", "CMYK"])
def test_other_modes_become_rgb_and_the_manifest_says_so(tmp_path, target, mode):
    kind = "jpg" if mode == "CMYK" else "png"
    put(tmp_path / "queue" / f"a.{kind}", 1)
    Image.open(tmp_path / "queue" / f"a.{kind}").convert(mode).save(tmp_path / "queue" / f"a.{kind}")
    import_candidates(tmp_path / "queue", target)
    (row,) = read_manifest(target)
    assert Image.open(target / row.file).mode == "RGB" and row.original.changed


def test_what_is_hidden_by_transparency_stays_hidden(tmp_path, target):
    (tmp_path / "queue").mkdir()
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(tmp_path / "queue" / "a.png")
    import_candidates(tmp_path / "queue", target)
    assert (read_pictures(target, read_manifest(target)) == 255).all()


def test_a_photograph_is_turned_and_says_nothing_of_its_place(tmp_path, target):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera of Ana"
    put(tmp_path / "queue" / "a.jpg", 1, width=32, height=16, exif=exif)
    import_candidates(tmp_path / "queue", target)
    (row,) = read_manifest(target)
    assert read_pictures(target, [row]).shape == (1, 32, 16, 3)
    assert b"Ana" not in (target / row.file).read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a picture"),
        (b"<svg onload='alert(1)'/>", "not a picture"),
        (b"GIF89a" + b"\0" * 100, "not a picture"),
        (bomb(60_000, 60_000), "too many pixels|pixels; the maximum is"),
        (bomb(5_000, 5_000), "5000 x 5000 pixels; the maximum is"),
        (bomb(200, 200)[:120], "cannot be decoded"),
        (bomb(8, 200), "minimum of each side is 16"),
    ],
)
def test_a_hostile_file_is_named_and_keeps_all_out(queue, target, content, reason):
    import re

    (queue / "bad.png").write_bytes(content)
    message = refusal(queue, target)
    assert "1 file was rejected, so nothing was imported" in message
    assert re.search(f"bad.png: .*({reason})", message), message


def test_animations_and_sixteen_bits_are_refused(queue, target):
    frames = [Image.fromarray(pixels(number)) for number in range(2)]
    frames[0].save(queue / "moving.png", save_all=True, append_images=frames[1:])
    Image.new("I;16", (16, 16)).save(queue / "deep.png")
    message = refusal(queue, target)
    assert "moving.png: is an animation" in message and "deep.png: has more than eight bits" in message


def test_links_and_pipes_are_not_followed(queue, target, tmp_path):
    put(tmp_path / "elsewhere" / "secret.png", 9)
    (queue / "link.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (queue / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(queue / "pipe.png")
    assert "pipe.png: is not a file" in refusal(queue, target)
    (queue / "pipe.png").unlink()
    imported = import_candidates(queue, target)
    assert imported.passed_over == ("folder", "link.png") and imported.pictures == 3


def test_names_that_would_harm_a_terminal_are_written_out(queue, target):
    (queue / "a\x1b[31m\n.png").write_bytes(b"not a picture")
    assert "a\\x1b[31m\\n.png: is not a picture" in refusal(queue, target)


def test_twenty_refused_files_are_shown_and_the_rest_counted(queue, target):
    for number in range(30):
        (queue / f"bad-{number:02}.png").write_bytes(b"?")
    message = refusal(queue, target)
    assert message.count(": is not a picture") == 20 and "and 10 more" in message


def test_hidden_files_and_the_table_are_passed_over(queue, target):
    (queue / ".DS_Store").write_bytes(b"?")
    (queue / "Thumbs.db").write_bytes(b"?")
    (queue / "prompts.csv").write_text("file,prompt\na.png,a badge\n")
    metadata = read_picture_table(queue / "prompts.csv")
    import_candidates(queue, target, metadata=metadata, exclude=queue / "prompts.csv")
    (row,) = [row for row in read_manifest(target) if row.original.file == "a.png"]
    assert row.prompt == "a badge" and not row.generated


def test_what_is_known_by_a_table_stands_in_the_manifest(queue, target, tmp_path):
    table = tmp_path / "prompts.csv"
    table.write_text("file;prompt;seed;model;stars\ndeep/b.png;a badge;7;v3;*\nc.jpg;;;\n".replace(";;;\n", ";;;;\n"))
    import_candidates(queue, target, metadata=read_picture_table(table))
    rows = {row.original.file: row for row in read_manifest(target)}
    assert (rows["deep/b.png"].generated, rows["deep/b.png"].seed, rows["deep/b.png"].model) == (True, 7, "v3")
    assert not rows["c.jpg"].generated
    lines = [json.loads(line) for line in (target / "manifest.jsonl").read_text().splitlines()]
    assert not any(value is None for line in lines for value in line.values())


def test_a_table_that_does_not_fit_is_refused(queue, target, tmp_path):
    put(queue / "other" / "b.png", 6)
    message = refusal(queue, target, metadata={"b.png": {"prompt": "a badge"}, "gone.png": {}})
    assert "2 files have that name" in message and "gone.png: the table names it" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prompt\na badge\n", "no column `file`"),
        ("file,seed\na.png,-1\n", "line 2: the seed '-1'"),
        ("file,seed\na.png,1\na.png,2\n", "line 3: names 'a.png' again"),
        ("file,seed\na.png\n", "line 2: has 1 cells"),
        ('file,seed\n"a.png,1\n', "line 2: cannot be read"),
    ],
)
def test_a_wrong_table_is_named_by_line(tmp_path, text, reason):
    (tmp_path / "prompts.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read_picture_table(tmp_path / "prompts.csv")
    assert reason in str(caught.value)


def test_a_folder_cannot_be_imported_into_itself(tmp_path):
    put(tmp_path / "data" / "a.png", 1)
    for source, target in ((tmp_path / "data", tmp_path / "data" / "x"), (tmp_path / "data", tmp_path / "data")):
        with pytest.raises(UserError, match="contains the other"):
            import_candidates(source, target)


def test_a_missing_or_an_empty_folder_is_said(tmp_path, target):
    (tmp_path / "empty").mkdir()
    assert "has no files" in refusal(tmp_path / "empty", target)
    assert "is missing" in refusal(tmp_path / "gone", target)


def test_a_file_of_equal_bytes_lends_its_name_and_its_row_of_the_table(tmp_path, target):
    put(tmp_path / "queue" / "a.png", 1)
    put(tmp_path / "queue" / "b.png", 1)
    known = {"b.png": {"prompt": "a badge", "seed": 3}}
    assert import_candidates(tmp_path / "queue", target, metadata=known).repeated == 1
    (row,) = read_manifest(target)
    assert row.original.file == "a.png" and row.original.copies == ("b.png",)
    assert (row.prompt, row.seed, row.generated) == ("a badge", 3, True)
    assert not import_candidates(tmp_path / "queue", target, metadata=known).changed


def test_a_table_that_says_two_things_of_equal_bytes_is_refused(tmp_path, target):
    put(tmp_path / "queue" / "a.png", 1)
    put(tmp_path / "queue" / "b.png", 1)
    known = {name: {"prompt": "a badge", "seed": number} for number, name in enumerate(("a.png", "b.png"))}
    assert "another seed; correct the table" in refusal(tmp_path / "queue", target, metadata=known)


def test_a_manifest_without_copies_has_the_bytes_that_it_had(queue, target):
    import_candidates(queue, target)
    assert "copies" not in (target / "manifest.jsonl").read_text()


def test_metadata_of_a_png_stays_behind_and_its_pixels_are_the_same(tmp_path, target):
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Ana Example")
    info.add_itxt("prompt", "a secret prompt", zip=True)
    exif = Image.Exif()
    exif[0x013B] = "Ana Example"
    path = put(tmp_path / "queue" / "a.png", 1, pnginfo=info, exif=exif, icc_profile=b"Ana's camera")
    path.write_bytes(path.read_bytes() + b"Ana's second picture")
    import_candidates(tmp_path / "queue", target)
    (row,) = read_manifest(target)
    data = (target / row.file).read_bytes()
    assert b"Ana" not in data and b"prompt" not in data and row.original.changed == ("metadata removed",)
    assert (read_pictures(target, [row])[0] == pixels(1)).all()
    assert not Image.open(target / row.file).info and not import_candidates(tmp_path / "queue", target).changed


def test_numbers_on_colours_and_size_are_kept(tmp_path, target):
    path = put(tmp_path / "queue" / "a.png", 1, dpi=(72, 72))
    import_candidates(tmp_path / "queue", target)
    (row,) = read_manifest(target)
    assert row.original.changed == () and (target / row.file).read_bytes() == path.read_bytes()


def deep_png(colours: int) -> bytes:
    """A PNG of sixteen bits per channel: grey (0), RGB (2), grey with alpha (4) or RGBA (6)."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colours]
    rows = b"".join(b"\0" + bytes(16 * channels * 2) for _ in range(16))
    parts = {b"IHDR": struct.pack(">IIBBBBB", 16, 16, 16, colours, 0, 0, 0), b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts.items()
    )


@pytest.mark.parametrize("colours", [0, 2, 4, 6])
def test_sixteen_bits_are_refused_whatever_the_channels(queue, target, colours):
    (queue / "deep.png").write_bytes(deep_png(colours))
    assert "deep.png: has more than eight bits" in refusal(queue, target)


def test_the_first_picture_of_a_phone_s_file_is_taken(tmp_path, target):
    first, second = (Image.fromarray(np.full((24, 24, 3), value, np.uint8)) for value in (10, 200))
    (tmp_path / "queue").mkdir()
    first.save(tmp_path / "queue" / "a.jpg", format="MPO", save_all=True, append_images=[second])
    import_candidates(tmp_path / "queue", target)
    (row,) = read_manifest(target)
    assert row.original.changed == ("decoded from MPO: its first picture",)
    assert abs(int(read_pictures(target, [row]).mean()) - 10) < 5


def test_captions_tables_and_system_files_beside_pictures_are_passed_over_and_named(queue, target):
    for name in ("a.txt", "a.png.json", "labels.csv", "metadata.JSONL", "a.url"):
        (queue / name).write_text("?")
    for name in ("thumbs.db", "Thumbs.db", "Desktop.ini", ".DS_Store", "__MACOSX/a.png", "@eaDir/a.png"):
        (queue / name).parent.mkdir(exist_ok=True)
        (queue / name).write_text("?")
    imported = import_candidates(queue, target)
    assert imported.pictures == 3
    assert imported.passed_over == ("a.png.json", "a.txt", "a.url", "labels.csv", "metadata.JSONL")


def test_a_file_that_may_be_a_picture_is_still_refused(queue, target):
    (queue / "a.heic").write_bytes(b"?")
    (queue / "b").write_bytes(b"?")
    message = refusal(queue, target)
    assert "a.heic: is not a picture" in message and "b: is not a picture" in message


def test_a_folder_of_captions_alone_has_no_pictures(tmp_path, target):
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "a.txt").write_text("?")
    assert "has no pictures" in refusal(tmp_path / "queue", target)


def test_pillow_s_warnings_do_not_reach_the_terminal(tmp_path, target, recwarn):
    put(tmp_path / "queue" / "a.jpg", 1, exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0damaged")
    Image.fromarray(pixels(2)[:, :, 0]).convert("P").save(tmp_path / "queue" / "b.png", transparency=b"\0" * 9)
    import_candidates(tmp_path / "queue", target)
    assert not recwarn.list
