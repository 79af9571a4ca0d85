"""A snapshot that was changed is refused; one that is being replaced can be read."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

import toolkit as tk
from toolkit.sandbox.start import SandboxPlatform
from toolkit.snapshots.folder import replace_snapshot
from toolkit.snapshots.manifest import MANIFEST, Manifest

KEY = "9d04c1f7ab35e86287f0d1c3b94e6a5f"
DRAWS = random.Random(7)  # noqa: S311


@pytest.fixture(scope="module")
def taken(platform: SandboxPlatform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taken")
    tk.take_snapshot(platform, folder, key=KEY)
    return folder


@pytest.fixture
def folder(taken: Path, tmp_path: Path) -> Path:
    """A whole snapshot that a test may damage."""
    return Path(shutil.copytree(taken, tmp_path / "s"))


def flip(path: Path, byte: int) -> None:
    changed = bytearray(path.read_bytes())
    changed[byte] ^= 1 << DRAWS.randrange(8)
    path.write_bytes(changed)


@pytest.mark.parametrize("name", ["grades", "enrollments", "completion", "problems"])
def test_a_file_with_one_flipped_bit_is_refused_by_name(folder: Path, name: str) -> None:
    (path,) = folder.rglob(f"{name}.parquet")
    whole = path.read_bytes()
    places = [0, len(whole) - 1, *(DRAWS.randrange(len(whole)) for _ in range(100))]
    for place in places:
        flip(path, place)
        with pytest.raises(tk.errors.SnapshotError, match=rf"{name}\.parquet.*checksum differs"):
            tk.open_snapshot(folder)
        path.write_bytes(whole)
    tk.open_snapshot(folder)


@pytest.mark.slow
def test_a_manifest_with_one_flipped_bit_is_refused_wherever_it_is(folder: Path) -> None:
    path = folder / MANIFEST
    whole = path.read_bytes()
    for place in range(len(whole)):
        flip(path, place)
        with pytest.raises(tk.errors.SnapshotError, match=r"manifest\.json"):
            tk.open_snapshot(folder)
        with pytest.raises(tk.errors.SnapshotError, match=r"manifest\.json"):
            tk.snapshots.list_snapshots(folder)
        path.write_bytes(whole)
    tk.open_snapshot(folder)


@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_a_manifest_that_is_cut_off_is_refused(folder: Path, length: int) -> None:
    path = folder / MANIFEST
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(tk.errors.SnapshotError, match=r"manifest\.json"):
        tk.open_snapshot(folder)


def test_a_manifest_of_another_version_is_refused_by_its_version(folder: Path) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 1}))
    with pytest.raises(tk.errors.SnapshotError, match=r"schema_version.*another version"):
        tk.open_snapshot(folder)


def test_a_manifest_without_its_checksum_is_refused(folder: Path) -> None:
    path = folder / MANIFEST
    path.write_bytes(b"{\n" + path.read_bytes().split(b"\n", 2)[2])
    with pytest.raises(tk.errors.SnapshotError, match="checksum is missing"):
        tk.open_snapshot(folder)


def test_a_manifest_cannot_point_out_of_its_folder(folder: Path) -> None:
    manifest = tk.open_snapshot(folder).manifest
    out = manifest.problems.model_copy(update={"name": "../elsewhere/problems.parquet"})
    manifest.model_copy(update={"problems": out}).write(folder)
    with pytest.raises(tk.errors.SnapshotError, match=r"problems\.name"):
        tk.open_snapshot(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (path,) = folder.rglob("grades.parquet")
    path.unlink()
    with pytest.raises(tk.errors.SnapshotError, match=r"grades\.parquet.*missing"):
        tk.open_snapshot(folder)


def test_a_damaged_snapshot_can_be_replaced(platform, folder: Path) -> None:
    flip(folder / MANIFEST, 50)
    tk.take_snapshot(platform, folder, key=KEY)
    tk.open_snapshot(folder)


def test_a_held_snapshot_lives_until_the_next_write_but_one(platform, folder: Path) -> None:
    held = tk.open_snapshot(folder)
    before = held.grades().collect()
    tk.take_snapshot(platform, folder, key=KEY)
    assert held.grades().collect().equals(before)
    tk.take_snapshot(platform, folder, key=KEY)
    with pytest.raises(tk.errors.SnapshotError, match="newer snapshots have replaced"):
        held.grades()
    assert len(list(folder.glob("data-*"))) == 2


def test_names_that_were_kept_go_as_soon_as_a_pseudonymous_snapshot_replaces_them(
    platform, tmp_path: Path
) -> None:
    tk.take_snapshot(platform, tmp_path, identities="keep")
    tk.take_snapshot(platform, tmp_path, key=KEY)
    names = tk.load_grades(platform)["username"].unique().to_list()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(list(tmp_path.glob("data-*"))) == 1
    assert not [name for name in names if name.encode() in written]


@pytest.mark.slow
def test_readers_beside_a_writer_always_get_a_whole_snapshot(platform, folder: Path) -> None:
    """Two readers open and read while 20 snapshots are taken."""
    done = threading.Event()
    seen: list[int] = []
    failed: list[BaseException] = []

    def read() -> None:
        while not done.is_set():
            try:
                seen.append(tk.open_snapshot(folder).grades().collect().height)
            except BaseException as error:  # noqa: BLE001  # told below
                failed.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            tk.take_snapshot(platform, folder, key=KEY)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not failed
    assert len(set(seen)) == 1


def test_a_link_in_the_folder_is_not_followed(platform, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.txt"
    target.write_text("mine")
    for name in (f".{MANIFEST}.new", f".{MANIFEST}-x", ".partial-data-20260101T000000-00000000"):
        (folder / name).symlink_to(target)
    tk.take_snapshot(platform, folder, key=KEY)
    assert target.read_text() == "mine"
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).symlink_to(target)
    tk.take_snapshot(platform, folder, key=KEY)
    assert target.read_text() == "mine"
    tk.open_snapshot(folder)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
@pytest.mark.parametrize("identities", ["pseudonymous", "keep"])
def test_folders_and_files_are_for_their_owner_alone(
    platform, tmp_path: Path, identities: str
) -> None:
    before = os.umask(0o022)
    try:
        snapshot = tk.take_snapshot(platform, tmp_path / "s", identities=identities, key=KEY)
        tk.snapshots.export_csv(snapshot, tmp_path / "csv")
        tk.snapshots.write_csv(pl.DataFrame({"a": [1]}), tmp_path / "csv" / "one.csv")
    finally:
        os.umask(before)
    for top in (tmp_path / "s", tmp_path / "csv"):
        for path in [top, *top.rglob("*")]:
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


# What a full disk does to a file: from some length on, no byte can be written.
LIMITED = """
import resource, signal, sys
import toolkit as tk
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
with tk.connect() as platform:
    try:
        tk.take_snapshot(platform, sys.argv[1])
    except tk.errors.SnapshotError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
@pytest.mark.parametrize("size", [0, 500, 4_000, 9_000])
def test_on_a_full_disk_the_earlier_snapshot_stays_and_the_error_says_so(
    platform, folder: Path, size: int
) -> None:
    before = tk.open_snapshot(folder).manifest
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder), str(size)],
        env={
            **os.environ,
            "COVERAGE_PROCESS_CONFIG": "",  # not measured: what that wrote would be cut as well
            "SO2_BASE_URL": platform.base_url,
            "SO2_TOKEN": platform.token,
            "SO2_PSEUDONYM_KEY": KEY,
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert f"{folder} cannot be written" in said
    assert "is unchanged" in said
    assert tk.open_snapshot(folder).manifest == before
    assert len(list(folder.glob("data-*"))) == 1
    assert sorted(path.name for path in folder.glob(".*")) == [".lock"]


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a right on Windows")
@pytest.mark.parametrize("name", ["file", "file/s", "to_file", "to_nothing", "to_nothing/s"])
def test_a_file_or_a_link_in_the_place_of_a_snapshot_is_told_of(
    platform, name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "to_file").symlink_to("file")
    (tmp_path / "to_nothing").symlink_to("nothing/at/all")
    snapshot = tk.take_snapshot(platform, tmp_path / "kept", key=KEY)
    with pytest.raises(tk.errors.SnapshotError, match="where a folder is needed"):
        tk.take_snapshot(platform, tmp_path / name, key=KEY)
    with pytest.raises(tk.errors.SnapshotError, match="where a folder is needed"):
        tk.snapshots.export_csv(snapshot, tmp_path / name)
    with pytest.raises(tk.errors.SnapshotError, match="holds no snapshot"):
        tk.open_snapshot(tmp_path / name)


def test_a_folder_that_cannot_be_made_is_told_of(platform, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    snapshot = tk.take_snapshot(platform, tmp_path / "s", key=KEY)
    with pytest.raises(tk.errors.SnapshotError, match="cannot be written"):
        tk.take_snapshot(platform, tmp_path / "file" / "s", key=KEY)
    with pytest.raises(tk.errors.SnapshotError, match="cannot be written"):
        tk.snapshots.export_csv(snapshot, tmp_path / "file" / "csv")
    with pytest.raises(tk.errors.SnapshotError, match="cannot be written"):
        tk.snapshots.write_csv(pl.DataFrame({"a": [1]}), tmp_path / "none" / "one.csv")


def test_what_a_thread_still_writes_after_a_failure_is_removed_too(tmp_path: Path) -> None:
    removed, made = shutil.rmtree, []

    def listed_before_the_last_file(path: Path, *, ignore_errors: bool) -> None:
        if made:
            removed(path, ignore_errors=ignore_errors)
        else:
            made.append((path / "late").touch())

    def write(aside: Path, name: str) -> Manifest:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.snapshots.folder.shutil.rmtree", listed_before_the_last_file)
        with pytest.raises(tk.errors.SnapshotError, match="No space left"):
            replace_snapshot(tmp_path, write)
    assert made
    assert not list(tmp_path.glob(".partial*"))


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("resources", "grades"),
        ("resources", "enrollments"),
        ("resources", "completion"),
        ("versions", "so2-toolkit"),
    ],
)
def test_a_manifest_that_lacks_a_part_is_refused(folder: Path, part: str, name: str) -> None:
    manifest = tk.open_snapshot(folder).manifest
    rest = {key: value for key, value in getattr(manifest, part).items() if key != name}
    manifest.model_copy(update={part: rest}).write(folder)
    for read in (tk.open_snapshot, tk.snapshots.list_snapshots):
        with pytest.raises(tk.errors.SnapshotError, match=f"{part}: .*no {name}"):
            read(folder)
