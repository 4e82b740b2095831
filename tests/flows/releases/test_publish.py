"""A release is published whole or not at all, once, by a name that never changes its content."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.releases.publish import publish, release_name
from flows.storage import s3 as storage
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_json
from hfi_core.params import load_params
from hfi_core.pipeline.release import DIGESTS
from tests.support.s3_fixtures import contents

LARGE = "model/unet/weights.safetensors"
PARTS = 3
"""Of the large file, at the smallest parts that S3 takes."""
FILES = {
    LARGE: 11 * 2**20 + 7,
    "model/vae/weights.safetensors": 70_000,
    "model/scheduler/config.json": 300,
    "tokens/badge/empty.txt": 0,
    "README.md": 900,
}


@pytest.fixture
def project(bare_project):
    """A project of nothing but params."""
    return bare_project


def make_release(folder: Path, seed: int = 0) -> Path:
    """A release of bytes."""
    for name, size in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(random.Random(f"{seed} {name}").randbytes(size))
    files = {name: f"sha256:{sha256_of_file(folder / name)}" for name in FILES}
    write_json(folder / DIGESTS, {"base": "sha256:0", "files": files})
    return folder


def bytes_of(release: Path, below: str = "") -> dict[str, bytes]:
    return {f"{below}{name}": (release / name).read_bytes() for name in (*FILES, DIGESTS)}


@pytest.fixture
def release(project) -> Path:
    return make_release(project.folder / "release")


@pytest.fixture
def to_s3(project, proxy, bucket, release, monkeypatch):
    """Publishes the release into the bucket, through the proxy."""
    monkeypatch.setattr(storage, "PART_BYTES", 5 * 2**20)
    project.edit(publish__to=f"s3://{bucket.name}/models", publish__endpoint=proxy.endpoint)
    params = load_params(project.folder / "params.yaml")
    name = release_name(params, release)
    return lambda of=release, as_name=name: publish(params, of, as_name)


def prefix(release: Path) -> str:
    return f"models/emblems-safeguarded/sha256-{sha256_of_file(release / DIGESTS)[:16]}/"


def test_every_byte_is_there_under_the_immutable_name(to_s3, bucket, release):
    done = to_s3()
    assert done.address == f"s3://{bucket.name}/{prefix(release)}".rstrip("/")
    assert (done.files, done.sent) == (6, 6) and done.digest == sha256_of_file(release / DIGESTS)
    assert contents(bucket) == bytes_of(release, prefix(release))


def test_the_list_of_digests_is_written_last(to_s3, proxy):
    to_s3()
    written = [line for line in proxy.seen if line.startswith("PUT ") or line.startswith("POST ")]
    assert DIGESTS in written[-1] and not any(DIGESTS in line for line in written[:-1])


def test_publishing_again_compares_and_sends_nothing(to_s3, proxy, bucket):
    to_s3()
    before = {found.key: (found.e_tag, found.last_modified) for found in bucket.objects.all()}
    proxy.seen.clear()
    assert to_s3().sent == 0
    assert proxy.count("PUT") == proxy.count("POST") == proxy.count("DELETE") == 0
    assert {found.key: (found.e_tag, found.last_modified) for found in bucket.objects.all()} == before


def test_what_somebody_deleted_is_sent_again(to_s3, bucket, release):
    to_s3()
    bucket.Object(prefix(release) + "README.md").delete()
    assert to_s3().sent == 1
    assert contents(bucket) == bytes_of(release, prefix(release))


def test_another_release_under_the_name_is_refused_and_changes_nothing(to_s3, bucket, release, tmp_path):
    name = prefix(release).removeprefix("models/").rstrip("/")
    to_s3()
    with pytest.raises(UserError, match="never replaced"):
        to_s3(make_release(tmp_path / "other", seed=1), name)
    assert contents(bucket) == bytes_of(release, prefix(release))


def test_another_file_that_came_there_first_is_not_replaced(to_s3, bucket, release):
    bucket.put_object(Key=prefix(release) + "README.md", Body=b"mine")
    with pytest.raises(UserError, match=r"README.md exists with other content"):
        to_s3()
    there = contents(bucket)
    assert there[prefix(release) + "README.md"] == b"mine" and prefix(release) + DIGESTS not in there


def test_other_bytes_that_claim_our_digest_are_refused_by_the_servers_own_checksum(to_s3, bucket, release):
    ours = release / "README.md"
    bucket.put_object(
        Key=prefix(release) + "README.md", Body=bytes(FILES["README.md"]), ChecksumAlgorithm="SHA256",
        Metadata={"sha256": sha256_of_file(ours)},
    )  # fmt: skip
    with pytest.raises(UserError, match=r"README.md exists with other content"):
        to_s3()


@pytest.mark.parametrize("name", ["README.md", LARGE])
def test_a_file_that_comes_between_check_and_upload_is_not_replaced(to_s3, bucket, release, monkeypatch, name):
    real_check = storage.is_stored

    def slow_check(s3, location, of, path, sha256):
        found = real_check(s3, location, of, path, sha256)
        if of == name and not found:
            bucket.put_object(Key=location.key(of), Body=b"mine")
        return found

    monkeypatch.setattr(storage, "is_stored", slow_check)
    with pytest.raises(UserError, match="other content"):
        to_s3()
    assert contents(bucket)[prefix(release) + name] == b"mine"
    assert list(bucket.multipart_uploads.all()) == []


def test_what_is_not_of_the_release_is_named(to_s3, bucket, release):
    bucket.put_object(Key=prefix(release) + "notes.txt", Body=b"mine")
    with pytest.raises(UserError, match=r"notes\.txt"):
        to_s3()


@pytest.mark.parametrize("kind", ["busy", "cut", "lost", "torn", "stalled"])
def test_a_network_that_breaks_in_the_middle_loses_nothing(to_s3, proxy, bucket, release, kind):
    for address in ("partNumber=2", "README.md", DIGESTS):
        proxy.breaks(kind, "PUT", address)
    for address in ("?uploads", "uploadId"):
        proxy.breaks(kind, "POST", address)
    proxy.breaks(kind, "HEAD", "vae")
    to_s3()
    assert len(proxy.met) == 6, proxy.seen
    assert contents(bucket) == bytes_of(release, prefix(release))
    assert list(bucket.multipart_uploads.all()) == []
    assert to_s3().sent == 0


def test_two_publishers_at_once_end_with_one_release(to_s3, bucket, release):
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(to_s3) for _ in range(2))
        assert first.result().address == second.result().address
    assert contents(bucket) == bytes_of(release, prefix(release))
    assert list(bucket.multipart_uploads.all()) == []


@pytest.mark.parametrize("kind", ["busy", "cut"])
def test_a_broken_try_leaves_no_half_file_and_the_next_sends_that_file_whole_and_no_other_again(
    to_s3, proxy, bucket, release, kind
):
    proxy.breaks(kind, "PUT", "partNumber=3", times=1000)
    with pytest.raises(UserError, match="run this again"):
        to_s3()
    arrived = set(contents(bucket))
    assert arrived == {f"{prefix(release)}{name}" for name in FILES if name < LARGE}
    assert list(bucket.multipart_uploads.all()) == []
    proxy.faults.clear()
    proxy.seen.clear()
    to_s3()
    assert contents(bucket) == bytes_of(release, prefix(release))
    assert proxy.count("PUT", "partNumber") == PARTS
    assert not any(proxy.count("PUT", key) for key in arrived), proxy.seen
    assert list(bucket.multipart_uploads.all()) == []


def test_ctrl_c_among_the_parts_leaves_no_half_file(to_s3, bucket, release, monkeypatch):
    send = storage._send_parts

    def stopped(*arguments):
        send(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "_send_parts", stopped)
    with pytest.raises(KeyboardInterrupt):
        to_s3()
    assert not any("unet" in key for key in contents(bucket))
    assert list(bucket.multipart_uploads.all()) == []


def test_what_a_killed_publisher_left_is_neither_used_nor_left_lying(to_s3, bucket, release):
    begun = bucket.Object(prefix(release) + LARGE).initiate_multipart_upload(ChecksumAlgorithm="SHA256")
    begun.Part(1).upload(Body=b"x" * 5 * 2**20, ChecksumAlgorithm="SHA256")
    to_s3()
    assert contents(bucket) == bytes_of(release, prefix(release))
    assert list(bucket.multipart_uploads.all()) == []


@pytest.mark.parametrize("name", ["README.md", LARGE])
def test_a_file_that_changes_on_the_way_is_not_published(to_s3, bucket, release, monkeypatch, name):
    real_check = storage.is_stored

    def changed_then(s3, location, of, path, sha256):
        if of == name:
            path.write_bytes(path.read_bytes()[:-1] + b"!")
        return real_check(s3, location, of, path, sha256)

    monkeypatch.setattr(storage, "is_stored", changed_then)
    with pytest.raises(UserError, match="changed while it was being sent"):
        to_s3()
    assert not any(key.endswith((DIGESTS, name)) for key in contents(bucket))
    assert list(bucket.multipart_uploads.all()) == []


def test_a_release_that_is_not_whole_is_not_published(to_s3, proxy, release):
    (release / "README.md").write_text("other")
    with pytest.raises(UserError, match="is not what"):
        to_s3()
    assert proxy.seen == []


def test_encryption_is_asked_for(project, to_s3, bucket, release):
    project.edit(publish__encryption="aws:kms")
    params = load_params(project.folder / "params.yaml")
    publish(params, release, "encrypted")
    kinds = {found.Object().server_side_encryption for found in bucket.objects.all()}
    assert kinds == {"aws:kms"}


def test_a_bucket_that_is_not_there_is_named(project, proxy, release):
    project.edit(publish__to="s3://nowhere-at-all/models", publish__endpoint=proxy.endpoint)
    with pytest.raises(UserError, match="no such bucket"):
        publish(load_params(project.folder / "params.yaml"), release, "name")


def test_missing_credentials_are_named_with_the_standard_chain(to_s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match="standard chain"):
        to_s3()


def test_a_folder_gets_the_release_once_and_keeps_it(project, release, tmp_path):
    params = load_params(project.folder / "params.yaml")
    name = release_name(params, release)
    assert publish(params, release, name, dry_run=True).sent == 6
    assert not (project.folder / "published").exists()
    done = publish(params, release, name)
    folder = project.folder / "published" / name
    assert (done.address, done.sent) == (f"published/{name}", 6)
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == bytes_of(
        release
    )
    assert publish(params, release, name).sent == 0
    with pytest.raises(UserError, match="never replaced"):
        publish(params, make_release(tmp_path / "other", seed=1), name)
    assert json.loads((folder / DIGESTS).read_text())["files"] == json.loads((release / DIGESTS).read_text())["files"]


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_tokens_are_left_out_if_params_say_so(kind, project, release, request):
    if kind == "s3":
        bucket, proxy = (request.getfixturevalue(name) for name in ("bucket", "proxy"))
        project.edit(publish__to=f"s3://{bucket.name}/models", publish__endpoint=proxy.endpoint)
    project.edit(publish__tokens=False)
    params = load_params(project.folder / "params.yaml")
    name = release_name(params, release)
    done = publish(params, release, name)
    assert (done.files, done.sent, done.excluded) == (5, 5, 1)
    if kind == "s3":
        there = {key.removeprefix(prefix(release)) for key in contents(bucket)}
    else:
        folder = project.folder / done.address
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {*FILES, DIGESTS} - {"tokens/badge/empty.txt"}
    assert publish(params, release, name).sent == 0
    if kind == "s3":
        bucket.put_object(Key=prefix(release) + "tokens/badge/empty.txt", Body=b"")
    else:
        (folder / "tokens").mkdir()
        (folder / "tokens/v.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="holds tokens that must not be there .* publish.tokens"):
        publish(params, release, name)


def test_the_command_says_where_the_release_is(project, to_s3, bucket, release):
    from typer.testing import CliRunner

    from flows.cli.main import app

    first = CliRunner().invoke(app, ["publish", "--dry-run"])
    assert "6 of 6 files would be sent" in first.output and contents(bucket) == {}
    assert "published, 6 of 6 files sent" in CliRunner().invoke(app, ["publish"]).output
    assert f"{bucket.name}/{prefix(release)}".rstrip("/") in CliRunner().invoke(app, ["publish"]).output
