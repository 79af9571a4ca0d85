"""Snapshots in S3, of moto's server on loopback: as in a folder, and seen only when complete."""

from __future__ import annotations

import json
import os
import pickle
import random
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from object_store import KEY_ID, SECRET, TOKEN, Bucket, log_in, served
from polars.testing import assert_frame_equal
from typer.testing import CliRunner
from werkzeug import Request

import toolkit as tk
from toolkit.cli.app import app
from toolkit.config import Settings
from toolkit.loading.platform import Platform
from toolkit.sandbox.start import SandboxPlatform
from toolkit.snapshots import store_path
from toolkit.snapshots.store_path import StorePath

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
RESOURCES = ("grades", "enrollments", "completion")
REFUSED = "403 Forbidden"


def slow(*cases: object) -> list[object]:
    """Cases that are like one that the quick tests have."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with served() as bucket:
        yield bucket


@pytest.fixture
def bucket(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    server.renew()
    log_in(server, monkeypatch)
    return server


def test_a_snapshot_in_a_store_is_that_in_a_folder(platform, bucket: Bucket, tmp_path) -> None:
    here = tk.take_snapshot(platform, tmp_path / "s", key=KEY)
    there = tk.take_snapshot(platform, f"{bucket.address}/studies/s", key=KEY)
    opened = tk.open_snapshot(f"{bucket.address}/studies/s/")

    assert opened == there
    assert str(opened.folder) == f"{bucket.address}/studies/s"
    for resource in RESOURCES:
        lazy = opened.scan(resource)
        assert isinstance(lazy, pl.LazyFrame)
        assert_frame_equal(lazy.collect(), here.scan(resource).collect())
        assert opened.manifest.resources[resource].file.sha256 == (
            here.manifest.resources[resource].file.sha256
        )
    assert_frame_equal(opened.problems(), here.problems())
    study = tk.load_study(f"{bucket.address}/studies/s")
    assert_frame_equal(study.person_course, tk.load_study(here).person_course)


def test_a_path_with_blanks_and_accents_is_as_good(platform, bucket: Bucket) -> None:
    address = f"{bucket.address}/año 2026 (a+b=c)"
    tk.take_snapshot(platform, address, key=KEY)
    assert tk.open_snapshot(address).grades().collect().height > 0
    assert tk.open_snapshot(Path(address)).folder == StorePath.of(address)


def test_the_copy_of_a_store_is_a_snapshot_in_a_folder(platform, bucket, tmp_path) -> None:
    taken = tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    for key in bucket.objects():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bucket.request("GET", key))
    assert tk.open_snapshot(tmp_path / "s").manifest == taken.manifest


@pytest.mark.slow
def test_two_in_a_store_are_listed_compared_and_checked(platform, bucket, tmp_path) -> None:
    with platform.earlier(datetime(2025, 7, 1, tzinfo=UTC)) as before:
        for where in (tmp_path, bucket.address):
            tk.take_snapshot(before, f"{where}/b", key=KEY)
    for where in (tmp_path, bucket.address):
        tk.take_snapshot(platform, f"{where}/a", key=KEY)

    listed = tk.snapshots.list_snapshots(bucket.address)
    assert listed["folder"].to_list() == [f"{bucket.address}/b", f"{bucket.address}/a"]
    assert listed.drop("folder").equals(tk.snapshots.list_snapshots(tmp_path).drop("folder"))
    there, here = (
        (tk.open_snapshot(f"{where}/b"), tk.open_snapshot(f"{where}/a"))
        for where in (bucket.address, tmp_path)
    )
    assert tk.compare_snapshots(*there).values.equals(tk.compare_snapshots(*here).values)
    assert tk.quality.check_snapshots(*there).ok == tk.quality.check_snapshots(*here).ok


def test_nothing_in_a_store_is_replaced(platform, bucket: Bucket) -> None:
    before = tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    with pytest.raises(tk.errors.SnapshotError, match="holds a snapshot, and none is replaced"):
        tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    with pytest.raises(tk.errors.SnapshotError, match=r"holds other files \(s\)"):
        tk.take_snapshot(platform, bucket.address, key=KEY)
    assert tk.open_snapshot(f"{bucket.address}/s").manifest == before.manifest


@pytest.mark.parametrize("name", ["grades", *slow("enrollments", "completion", "problems")])
def test_an_object_that_was_changed_is_named(platform, bucket: Bucket, name: str) -> None:
    address = f"{bucket.address}/s"
    tk.take_snapshot(platform, address, key=KEY)
    (key,) = (key for key in bucket.objects() if key.endswith(f"{name}.parquet"))
    whole = bucket.request("GET", key)
    flipped = bytearray(whole)
    flipped[random.Random(7).randrange(len(whole))] ^= 1  # noqa: S311
    for body, said in ((bytes(flipped), "checksum differs"), (whole[:-1], "bytes instead of")):
        bucket.request("PUT", key, body)
        with pytest.raises(tk.errors.SnapshotError, match=rf"{name}\.parquet.*{said}"):
            tk.open_snapshot(address)
    bucket.request("DELETE", key)
    with pytest.raises(tk.errors.SnapshotError, match=rf"{name}\.parquet.*is missing"):
        tk.open_snapshot(address)


@pytest.mark.parametrize("n_th", [1, 5, *slow(0, 2, 3, 4)])
def test_a_take_that_fails_at_any_object_leaves_none(platform, bucket: Bucket, n_th: int) -> None:
    """A mark, four files and the manifest are put; each of the six is refused in its turn."""
    puts = []

    def refuse(request: Request, serve) -> tuple[str, bytes] | None:
        if request.method == "PUT":
            puts.append(request.path)
        return (REFUSED, b"") if request.method == "PUT" and len(puts) == n_th + 1 else None

    bucket.meddle = refuse
    with pytest.raises(tk.errors.SnapshotError, match="cannot be written: the store denies access"):
        tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    assert len(puts) == n_th + 1
    assert puts[-1].endswith("manifest.json") == (n_th == 5)
    assert bucket.objects() == []


def test_who_may_not_write_learns_it_before_anything_is_loaded(bucket: Bucket) -> None:
    def refuse(request: Request, serve) -> tuple[str, bytes] | None:
        return (REFUSED, b"") if request.method == "PUT" else None

    bucket.meddle = refuse
    nowhere = Platform(Settings(base_url="https://platform.example.com", token="a"))
    with pytest.raises(tk.errors.SnapshotError, match="cannot be written: the store denies access"):
        tk.take_snapshot(nowhere, f"{bucket.address}/s", key=KEY)


def test_a_platform_that_fails_leaves_nothing(bucket: Bucket) -> None:
    with (
        tk.sandbox(learners=20, faults="login-page") as broken,
        pytest.raises(tk.errors.AuthenticationError),
    ):
        tk.take_snapshot(broken, f"{bucket.address}/s", key=KEY)
    assert bucket.objects() == []


@pytest.mark.parametrize("status", [REFUSED, *slow("500 Internal Server Error")])
def test_a_response_that_is_lost_after_the_manifest_is_no_failure(
    platform, bucket: Bucket, status: str
) -> None:
    """With the second, the request is sent again and finds what the first one made."""
    lost = []

    def lose(request: Request, serve) -> tuple[str, bytes] | None:
        if request.method == "PUT" and request.path.endswith("manifest.json") and not lost:
            lost.append(serve())
            return status, b""
        return None

    bucket.meddle = lose
    taken = tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    assert lost
    assert tk.open_snapshot(f"{bucket.address}/s").manifest == taken.manifest


@pytest.mark.parametrize(("act", "n_th"), [("create", 2), *slow(("upload", 1), ("create", 1))])
def test_an_interrupted_take_leaves_none(
    platform, bucket: Bucket, monkeypatch, act: str, n_th: int
) -> None:
    real, done = getattr(StorePath, act), []

    def interrupted(self: StorePath, what: object) -> None:
        done.append(real(self, what))
        if len(done) == n_th:
            raise KeyboardInterrupt

    monkeypatch.setattr(StorePath, act, interrupted)
    with pytest.raises(KeyboardInterrupt):
        tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    if (act, n_th) == ("create", 2):  # the manifest was there
        tk.open_snapshot(f"{bucket.address}/s")
    else:
        assert bucket.objects() == []


WRITER = """
import os, sys
import toolkit as tk
print(os.getpid(), flush=True)
with tk.connect() as platform:
    tk.take_snapshot(platform, sys.argv[1])
"""


@pytest.mark.slow
def test_a_writer_killed_before_the_manifest_has_made_no_snapshot(
    platform, bucket: Bucket, tmp_path: Path
) -> None:
    address = f"{bucket.address}/studies/s"
    variables = {"SO2_BASE_URL": platform.base_url, "SO2_TOKEN": platform.token}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, address],
        env={**os.environ, **variables, "SO2_PSEUDONYM_KEY": KEY, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as writer:

        def kill(request: Request, serve) -> tuple[str, bytes] | None:
            if request.path.endswith("manifest.json"):
                writer.kill()
                return REFUSED, b""
            return None

        bucket.meddle = kill
        writer.wait()
    bucket.meddle = None
    assert len(bucket.objects()) == 5, "what it wrote is there"
    with pytest.raises(tk.errors.SnapshotError, match="holds no snapshot"):
        tk.open_snapshot(address)
    assert tk.snapshots.list_snapshots(f"{bucket.address}/studies").is_empty()

    tk.take_snapshot(platform, address, key=KEY)
    assert tk.open_snapshot(address).grades().collect().height > 0
    assert len(bucket.objects()) == 5, "the next writer clears it away"


WRITES_ON = """
import itertools, sys
import toolkit as tk
with tk.connect() as platform:
    for n in itertools.count():
        tk.take_snapshot(platform, f"{sys.argv[1]}/{n}")
"""


@pytest.mark.slow
def test_what_is_seen_beside_writers_that_are_killed_is_whole(
    platform, bucket: Bucket, tmp_path: Path
) -> None:
    """Each writer is killed when it puts an object, drawn at random, which then is not there."""
    variables = {"SO2_BASE_URL": platform.base_url, "SO2_TOKEN": platform.token}
    draws = random.Random(7)  # noqa: S311
    n_unfinished = 0
    for n_th in range(6):
        top, n_puts = f"{bucket.address}/{n_th}", iter(range(draws.randrange(5, 20)))
        bucket.request("PUT", f"{n_th}/", b"")
        with subprocess.Popen(
            [sys.executable, "-c", WRITES_ON, top],
            env={**os.environ, **variables, "SO2_PSEUDONYM_KEY": KEY, "TMPDIR": str(tmp_path)},
        ) as writer:

            def kill(request: Request, serve, n_puts=n_puts, writer=writer) -> object:
                if request.method == "PUT" and next(n_puts, None) is None:
                    writer.kill()
                    return REFUSED, b""
                return None

            bucket.meddle = kill
            while writer.poll() is None:
                for folder in tk.snapshots.list_snapshots(top)["folder"]:
                    tk.open_snapshot(folder)
        bucket.meddle = None
        seen = tk.snapshots.list_snapshots(top)["folder"].to_list()
        assert all(tk.open_snapshot(folder).grades().collect().height for folder in seen)
        written = {"/".join(key.split("/")[:2]) for key in bucket.objects() if "data-" in key}
        n_unfinished += len({key for key in written if key.startswith(f"{n_th}/")}) - len(seen)
    assert n_unfinished > 0, "some died with objects there and no manifest"


@pytest.mark.slow
def test_of_two_writers_the_first_wins(platform, bucket: Bucket) -> None:
    address, told = f"{bucket.address}/s", []
    both = threading.Barrier(2)

    def wait(request: Request, serve) -> tuple[str, bytes] | None:
        if request.method == "PUT" and request.path.endswith("manifest.json"):
            both.wait(timeout=60)
        return None

    def write() -> None:
        try:
            told.append(tk.take_snapshot(platform, address, key=KEY))
        except tk.errors.SnapshotError as error:
            told.append(error)

    bucket.meddle = wait
    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (won,) = (one for one in told if isinstance(one, tk.Snapshot))
    (lost,) = (one for one in told if isinstance(one, tk.errors.SnapshotError))
    assert "holds a snapshot, and none is replaced" in str(lost)
    assert tk.open_snapshot(address).manifest == won.manifest
    assert len(bucket.objects()) == 5, "what the other wrote is gone"


def test_a_store_that_cannot_put_on_a_condition_is_written_to_without(platform, bucket) -> None:
    conditions = []

    def refuse(request: Request, serve) -> tuple[str, bytes] | None:
        if request.headers.get("If-None-Match"):
            conditions.append(request.path)
            return "400 Bad Request", b"<Error><Code>NotImplemented</Code></Error>"
        return None

    bucket.meddle = refuse
    path = StorePath.of(f"{bucket.address}/s")
    tk.take_snapshot(platform, path, key=KEY)
    assert conditions
    tk.open_snapshot(path)
    with pytest.raises(FileExistsError):
        (path / "manifest.json").create(b"")


def test_the_folder_of_a_console_is_empty_and_others_objects_stay(platform, bucket: Bucket) -> None:
    """A console makes a folder by an empty object; notes come while the snapshot is taken."""
    bucket.request("PUT", "s/", b"")

    def note(request: Request, serve) -> None:
        if request.path.endswith("manifest.json"):
            bucket.request("PUT", "s/notes.txt", b"mine")
            bucket.request("PUT", "s/data-of-mine/notes.txt", b"mine")

    bucket.meddle = note
    tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    assert {"s/", "s/notes.txt", "s/data-of-mine/notes.txt"} <= set(bucket.objects())
    tk.open_snapshot(f"{bucket.address}/s")


def test_a_large_file_is_sent_and_read_in_parts(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_path, "_PART", 5 * 2**20)  # the least that S3 takes
    parts = []

    def count(request: Request, serve) -> None:
        parts.append(request.args.get("partNumber"))

    bucket.meddle = count
    file = tmp_path / "file"
    file.write_bytes(random.Random(7).randbytes(11 * 2**20))  # noqa: S311
    path = StorePath.of(f"{bucket.address}/file")
    path.upload(file)
    assert sorted(part for part in parts if part) == ["1", "2", "3"]
    assert path.size() == 11 * 2**20
    assert b"".join(path.chunks()) == file.read_bytes()
    assert max(map(len, path.chunks())) < 6 * 2**20


# What S3 answers to a wrong signature, and to a token that is too old.
TELLING = f"""<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code>
<AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><StringToSign>{SECRET}</StringToSign>
<CanonicalRequest>x-amz-security-token:{TOKEN}</CanonicalRequest><Token-0>{TOKEN}</Token-0>
</Error>""".encode()
SECRETS = (KEY_ID, SECRET, TOKEN)


@pytest.mark.parametrize("counts", [range(1, 2), *slow(range(8))])
def test_no_error_repeats_a_key(platform, bucket: Bucket, counts: range) -> None:
    """All requests from the first, the second, … on are refused, whatever is done."""
    address = f"{bucket.address}/s"
    tk.take_snapshot(platform, address, key=KEY)
    opened = tk.open_snapshot(address)
    attempts = {
        "take": lambda: tk.take_snapshot(platform, f"{address}-{n_granted}", key=KEY),
        "open": lambda: tk.open_snapshot(address),
        "list": lambda: tk.snapshots.list_snapshots(bucket.address),
        "load": lambda: tk.load_grades(opened),
        "problems": opened.problems,
    }
    told = {}
    for name, attempt in attempts.items():
        for n_granted in counts:
            granted = iter(range(n_granted))

            def refuse(request: Request, serve, granted=granted) -> tuple[str, bytes] | None:
                return (REFUSED, TELLING) if next(granted, None) is None else None

            bucket.meddle = refuse
            try:
                attempt()
            except tk.errors.SnapshotError as error:
                told[name, n_granted] = "".join(traceback.format_exception(error))
    assert {name for name, n_granted in told if n_granted} == set(attempts)
    assert all("the store denies access" in text for text in told.values())
    assert not [where for where, text in told.items() if any(one in text for one in SECRETS)]


def test_nothing_that_is_kept_or_shown_holds_a_key(platform, bucket: Bucket) -> None:
    snapshot = tk.take_snapshot(platform, f"{bucket.address}/s", identities="keep")
    study = tk.load_study(snapshot)
    loaded = tk.fetch(snapshot, "grades")
    shown = [repr(snapshot), repr(snapshot.folder), repr(study), study.caption, repr(loaded)]
    shown += [snapshot.grades().explain(), repr(snapshot.grades()), repr(loaded.provenance)]
    kept = b"".join(bucket.request("GET", key) for key in bucket.objects())
    kept += snapshot.grades().serialize() + pickle.dumps([snapshot, snapshot.grades()])
    text = "".join(shown) + kept.decode(errors="replace")
    assert not [secret for secret in SECRETS if secret in text]


@pytest.fixture
def asks_with(platform: SandboxPlatform) -> Callable[[Bucket], set[str]]:
    """The ids of the keys with which a snapshot is taken, opened and read."""

    def ids(bucket: Bucket) -> set[str]:
        bucket.signed.clear()
        taken = tk.take_snapshot(platform, f"{bucket.address}/{len(bucket.objects())}", key=KEY)
        assert taken.grades().collect().height > 0
        return {text.partition("Credential=")[2].partition("/")[0] for text in bucket.signed}

    return ids


PROFILES = """
[default]
aws_access_key_id = AKIAOFDEFAULT
aws_secret_access_key = %a-secret%(with)signs
[other]
aws_access_key_id = AKIAOFOTHER
aws_secret_access_key = b
"""


@pytest.fixture
def profiles(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The files of AWS with two profiles, and no key in a variable."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    for name, text in (
        ("AWS_SHARED_CREDENTIALS_FILE", PROFILES),
        ("AWS_CONFIG_FILE", "[default]\nregion = eu-west-1\n[profile sso]\nsso_session = work\n"),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(name, str(tmp_path / name))
    return monkeypatch


def test_keys_come_from_variables_before_a_profile(bucket: Bucket, profiles, asks_with) -> None:
    assert asks_with(bucket) == {"AKIAOFDEFAULT"}
    assert all("/eu-west-1/s3/" in text for text in bucket.signed)
    profiles.setenv("AWS_PROFILE", "other")
    assert asks_with(bucket) == {"AKIAOFOTHER"}
    assert not any("security-token" in text for text in bucket.signed)
    profiles.setenv("AWS_ACCESS_KEY_ID", "AKIAOFVARIABLE")
    profiles.setenv("AWS_SESSION_TOKEN", "of-the-variables")
    with pytest.raises(tk.errors.ConfigurationError, match="missing: AWS_SECRET_ACCESS_KEY"):
        asks_with(bucket)
    profiles.setenv("AWS_SECRET_ACCESS_KEY", "c")
    assert asks_with(bucket) == {"AKIAOFVARIABLE"}


def test_the_endpoint_comes_from_a_profile_too(
    bucket: Bucket, profiles, tmp_path, asks_with
) -> None:
    profiles.delenv("AWS_ENDPOINT_URL")
    path = tmp_path / "AWS_CONFIG_FILE"
    path.write_text(f"[profile other]\nendpoint_url = {bucket.url}\n")
    profiles.setenv("AWS_PROFILE", "other")
    assert asks_with(bucket) == {"AKIAOFOTHER"}


def test_a_profile_that_is_not_there_is_named(bucket: Bucket, profiles) -> None:
    profiles.setenv("AWS_PROFILE", "none")
    with pytest.raises(tk.errors.ConfigurationError, match=r"\(none\) could not be found"):
        tk.open_snapshot(f"{bucket.address}/s")


def gets_keys_of(profiles: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Let the default profile ask a script for keys."""
    script = tmp_path / "keys.py"
    script.write_text(f"from datetime import *; import json, pathlib, sys\n{code}\n")
    command = f"{Path(sys.executable).as_posix()} {script.as_posix()}"
    (tmp_path / "AWS_CONFIG_FILE").write_text(f"[default]\ncredential_process = {command}\n")
    (tmp_path / "AWS_SHARED_CREDENTIALS_FILE").write_text("[other]\naws_access_key_id = a\n")


PRINTS = """
ends = datetime.now(timezone.utc) + timedelta(minutes={minutes})
print(json.dumps({{"Version": 1, "AccessKeyId": "AKIAOFPROCESS", "SecretAccessKey": "{secret}",
                  "SessionToken": "of-the-process", "Expiration": ends.isoformat()}}))
"""


def test_a_program_named_in_a_profile_gives_keys(
    bucket: Bucket, profiles, tmp_path, asks_with
) -> None:
    gets_keys_of(profiles, tmp_path, PRINTS.format(minutes=60, secret=SECRET))
    assert asks_with(bucket) == {"AKIAOFPROCESS"}
    assert all("security-token" in text for text in bucket.signed)
    opened = tk.open_snapshot(f"{bucket.address}/0")
    kept = pickle.dumps([opened, opened.grades()]) + opened.grades().serialize()
    assert not [name for name in (b"AKIAOF", SECRET.encode(), b"of-the-process") if name in kept]
    again = pickle.loads(pickle.dumps(opened))  # noqa: S301
    assert_frame_equal(again.grades().collect(), opened.grades().collect())


@pytest.mark.parametrize("code", [f"print({SECRET!r})", f"sys.exit({SECRET!r})", "print('{}')"])
def test_a_program_that_fails_is_not_quoted(bucket, profiles, tmp_path, code: str) -> None:
    gets_keys_of(profiles, tmp_path, code)
    with pytest.raises(tk.errors.ConfigurationError, match="credentials cannot be read") as caught:
        tk.open_snapshot(f"{bucket.address}/s")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_keys_that_cannot_be_renewed_are_said_not_to(bucket, profiles, tmp_path) -> None:
    """The program works twice, and its keys end too soon to be used for long."""
    works = f"""
asked = pathlib.Path({str(tmp_path / "asked")!r})
n = len(asked.read_text()) if asked.exists() else 0
if n == 2: sys.exit({SECRET!r})
asked.write_text("." * (n + 1))
"""
    gets_keys_of(profiles, tmp_path, works + PRINTS.format(minutes=5, secret=SECRET))
    path = StorePath.of(f"{bucket.address}/s")
    for read in (path.size, lambda: store_path.scan(path).collect()):
        with pytest.raises((OSError, tk.ToolkitError), match="credentials cannot be") as caught:
            read()
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_role_is_assumed(bucket: Bucket, profiles, tmp_path, asks_with) -> None:
    """Moto gives the keys of a role; they begin with ASIA."""
    (tmp_path / "AWS_CONFIG_FILE").write_text(
        "[profile study]\nrole_arn = arn:aws:iam::123456789012:role/study\n"
        "source_profile = other\nregion = eu-west-1\n"
    )
    profiles.setenv("AWS_PROFILE", "study")
    with_keys = asks_with(bucket)
    assert "AKIAOFOTHER" in with_keys, "which asks for the role"
    assert {name[:4] for name in with_keys - {"AKIAOFOTHER"}} == {"ASIA"}
    assert all("/sts/" in text for text in bucket.signed if "AKIAOFOTHER" in text)


def test_without_keys_a_machine_of_aws_takes_those_of_its_role(
    bucket, profiles, tmp_path, asks_with
) -> None:
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        (tmp_path / name).unlink()
    profiles.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", bucket.url)
    role = {
        "AccessKeyId": "AKIAOFROLE",
        "SecretAccessKey": "d",
        "Token": "e",
        "Expiration": "2999-01-01T00:00:00Z",
    }
    roles = "/latest/meta-data/iam/security-credentials/"
    told = {"/latest/api/token": "f", roles: "study", f"{roles}study": json.dumps(role)}
    bucket.meddle = lambda request, _: (
        ("200 OK", told[request.path].encode()) if request.path in told else None
    )
    assert asks_with(bucket) - {""} == {"AKIAOFROLE"}


def test_without_keys_it_is_said_how_to_set_them(bucket: Bucket, profiles, tmp_path) -> None:
    """The machine is asked for its role, and has none."""
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        (tmp_path / name).unlink()
    profiles.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", bucket.url)
    bucket.meddle = lambda *_: ("404 Not Found", b"")
    with pytest.raises(tk.errors.ConfigurationError, match="no credentials; for S3 set AWS_PROF"):
        tk.open_snapshot(f"{bucket.address}/s")


def test_a_file_of_profiles_that_cannot_be_read_is_not_quoted(bucket, profiles, tmp_path) -> None:
    (tmp_path / "AWS_SHARED_CREDENTIALS_FILE").write_text("a-secret-without-a-section\n")
    with pytest.raises(tk.errors.ConfigurationError, match="cannot be read") as caught:
        tk.open_snapshot(f"{bucket.address}/s")
    assert "a-secret" not in "".join(traceback.format_exception(caught.value))


def test_plain_http_is_for_loopback_alone(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example.com:9000")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with pytest.raises(tk.errors.ConfigurationError, match=r"plain http to store\.example\.com"):
        tk.open_snapshot(f"{bucket.address}/s")
    monkeypatch.setenv("SO2_ALLOW_HTTP", "true")
    StorePath.of(f"{bucket.address}/s")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:9000",
        "not a url",
        "ftp://127.0.0.1",
        "https://[::1",
        "https://me:secret@host",
    ],
)
def test_an_endpoint_that_is_none_is_refused_and_not_repeated(
    bucket: Bucket, monkeypatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(tk.errors.ConfigurationError, match=r"^AWS_ENDPOINT_URL.* must") as caught:
        tk.open_snapshot(f"{bucket.address}/s")
    assert "secret" not in str(caught.value)


def test_a_store_that_does_not_respond_is_said_not_to(bucket: Bucket, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(tk.errors.SnapshotError, match=r"manifest\.json cannot be read: .*respond"):
        tk.open_snapshot(f"{bucket.address}/s")


def test_an_address_of_azure_without_an_account_is_refused(monkeypatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(tk.errors.ConfigurationError, match="az://container cannot be reached"):
        tk.open_snapshot("az://container/s")


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3:///path",
        "s3://key:secret@bucket/path",
        "s3://bucket/path?X-Amz-Signature=secret",
        "s3://bucket/path#secret",
        "s3://bucket/../secret",
        "s3://bucket/*",
        "https://bucket.s3.amazonaws.com/path?X-Amz-Signature=secret",
        "file:///secret",
    ],
)
def test_another_kind_of_address_is_refused_and_not_repeated(address: str) -> None:
    for attempt in (tk.open_snapshot, tk.snapshots.list_snapshots):
        with pytest.raises(tk.errors.SnapshotError, match="must look like s3://") as caught:
            attempt(address)
        assert "secret" not in str(caught.value)


def test_what_is_missing_is_said(bucket: Bucket, platform) -> None:
    with pytest.raises(tk.errors.SnapshotError, match=r"s3://\S+/none holds no snapshot"):
        tk.open_snapshot(f"{bucket.address}/none")
    with pytest.raises(tk.errors.SnapshotError, match="there is no such bucket"):
        tk.open_snapshot("s3://no-such-bucket/s")
    with pytest.raises(tk.errors.SnapshotError, match="there is no such bucket"):
        tk.take_snapshot(platform, "s3://no-such-bucket/s", key=KEY)
    bucket.meddle = lambda *_: ("301 Moved Permanently", b"")
    with pytest.raises(tk.errors.SnapshotError, match="in another region; set AWS_REGION"):
        tk.open_snapshot(f"{bucket.address}/s")
    bucket.meddle = None
    with pytest.raises(tk.errors.SnapshotError, match=r"there is no folder s3://\S+/none"):
        tk.snapshots.list_snapshots(f"{bucket.address}/none")


def test_csv_files_are_written_on_this_machine(platform, bucket: Bucket, tmp_path: Path) -> None:
    snapshot = tk.take_snapshot(platform, f"{bucket.address}/s", key=KEY)
    assert len(tk.snapshots.export_csv(snapshot, tmp_path / "csv")) == 4
    assert len(tk.snapshots.export_for_sharing(snapshot, tmp_path / "shared").files) == 3
    for write in (
        lambda: tk.snapshots.export_csv(snapshot, f"{bucket.address}/csv"),
        lambda: tk.snapshots.export_for_sharing(snapshot, f"{bucket.address}/csv"),
        lambda: tk.snapshots.write_csv(pl.DataFrame({"a": [1]}), f"{bucket.address}/a.csv"),
    ):
        with pytest.raises(tk.errors.SnapshotError, match="is an address, and only snapshots"):
            write()
    assert all(key.startswith("s/") for key in bucket.objects())


def test_nothing_but_a_snapshot_is_written_to_an_address(platform, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = tk.load_study(platform)
    for write in (
        lambda: tk.outcomes(study).to_csv("s3://bucket/a.csv"),
        lambda: tk.check(study).to_html("s3://bucket/docs"),
        lambda: tk.write_report("s3://bucket/report", source=platform),
    ):
        with pytest.raises(tk.ToolkitError, match=r"s3://bucket/\S+ is an address"):
            write()
    assert not list(tmp_path.iterdir())


def test_a_report_reads_a_store_once_and_finds_the_snapshot_before(platform, bucket) -> None:
    from toolkit.reports.making import _read_once

    with platform.earlier(datetime(2025, 7, 1, tzinfo=UTC)) as earlier:
        older = tk.take_snapshot(earlier, f"{bucket.address}/studies/a", key=KEY)
    taken = tk.take_snapshot(platform, f"{bucket.address}/studies/b", key=KEY)
    with _read_once(f"{bucket.address}/studies/b", None) as (study, before, variables):
        folder = Path(variables["SO2_SNAPSHOT"])
        assert tk.open_snapshot(folder).manifest == taken.manifest
        beside = tk.snapshots.list_snapshots(folder.parent)
        assert beside["as_of"].to_list() == [older.as_of, taken.as_of], (
            "as notebook 06 looks for it"
        )
        if os.name == "posix":
            modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
            assert modes == {0o600}
        assert before is not None
        assert (study.as_of, before.as_of) == (taken.as_of, older.as_of)
    assert not folder.exists()


def test_the_commands_take_addresses(platform, bucket: Bucket, tmp_path, monkeypatch) -> None:
    for name, text in (
        ("SO2_BASE_URL", platform.base_url),
        ("SO2_TOKEN", platform.token),
        ("SO2_PSEUDONYM_KEY", KEY),
    ):
        monkeypatch.setenv(name, text)

    def so2(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    a, b = f"{bucket.address}/a", f"{bucket.address}/b"
    so2("fetch", a)
    so2("fetch", b)
    assert "checksum" not in so2("snapshots", bucket.address, "--verify")
    assert f"Nothing changed from {a} to {b}." in " ".join(so2("compare", a, b).split())
    assert "grades.csv" in so2("export", a, str(tmp_path / "csv"))
    monkeypatch.setenv("SO2_SNAPSHOT", b)
    so2("check", "--since", a)
    assert str(tk.connect_or_sandbox().folder) == b
