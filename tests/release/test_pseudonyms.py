import os
import pickle
import string
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.release import pseudonyms as privacy
from toolkit.release.pseudonyms import PseudonymKey, pseudonym_key, reidentify

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER = "ffeeddccbbaa99887766554433221100"


@pytest.fixture(autouse=True)
def own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SO2_PSEUDONYM_KEY", raising=False)
    monkeypatch.setattr(privacy.platformdirs, "user_config_path", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)


def learners(*names: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"username": names, "email": [f"{name}@example.com" for name in names]},
        schema={"username": pl.String, "email": pl.String},
    )


def test_usernames_become_pseudonyms_and_addresses_go() -> None:
    hidden = tk.pseudonymize(learners("ada", "bo", "ada"), KEY)
    assert hidden.columns == ["username"]
    first, second, third = hidden["username"]
    assert first == third != second
    assert len(first) == 34
    assert set(first.removeprefix("p_")) <= set(string.hexdigits.lower())


def test_the_pseudonym_of_a_username_never_changes_between_versions() -> None:
    assert tk.pseudonymize(learners("ada"), KEY).item() == "p_e76a9e3a15a9cd935bec4d1dc03abdd1"


def test_other_columns_stay_as_they_are() -> None:
    frame = pl.DataFrame({"course_id": ["c"], "username": ["ada"], "completion": [0.5]})
    hidden = tk.pseudonymize(frame, KEY)
    assert hidden.drop("username").equals(frame.drop("username"))
    assert hidden.columns == frame.columns


def test_a_null_username_stays_null() -> None:
    assert tk.pseudonymize(learners(None, "ada"), KEY)["username"].null_count() == 1


def test_an_empty_frame_stays_empty() -> None:
    assert tk.pseudonymize(learners(), KEY).schema == {"username": pl.String}


def test_two_keys_share_no_pseudonym() -> None:
    names = learners(*(f"learner{i}" for i in range(1000)))
    one, other = (set(tk.pseudonymize(names, key)["username"]) for key in (KEY, OTHER))
    assert len(one) == len(other) == 1000
    assert one.isdisjoint(other)


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), unique=True, max_size=20))
def test_different_usernames_have_different_pseudonyms(names: list[str]) -> None:
    assert tk.pseudonymize(learners(*names), KEY)["username"].n_unique() == len(names)


def test_pseudonyms_are_not_hashed_again() -> None:
    once = tk.pseudonymize(learners("ada"), KEY)
    with pytest.raises(tk.DisclosureError, match="already"):
        tk.pseudonymize(once, KEY)


def test_a_frame_without_identities_is_refused() -> None:
    with pytest.raises(tk.SchemaError, match="username"):
        tk.pseudonymize(pl.DataFrame({"completion": [0.1]}), KEY)


@pytest.mark.parametrize(
    ("column", "raw", "kept"),
    [
        ("percent_grade", "1.7", "1.7"),
        ("percent_grade", "NaN", "NaN"),
        ("created", "2021-13-09T20:15:00Z", "2021-13-09T20:15:00Z"),
        ("created", "ada lovelace", "(text of 12 characters, withheld)"),
        ("percent_grade", "ada@example.com", "(text of 15 characters, withheld)"),
        ("username", "12345", "(text of 5 characters, withheld)"),
        ("email", "7@1", "(text of 3 characters, withheld)"),
        ("percent_grade", "1\nada", "(text of 5 characters, withheld)"),
        ("created", None, None),
    ],
)
def test_raw_values_of_problems_keep_numbers_and_dates_only(
    column: str, raw: str | None, kept: str | None
) -> None:
    problems = pl.DataFrame(
        {"resource": ["grades"], "record": [0], "column": [column], "raw": [raw], "reason": ["r"]},
        schema_overrides={"raw": pl.String},
    )
    assert tk.pseudonymize(problems, KEY)["raw"].to_list() == [kept]


@pytest.mark.parametrize("key", ["", "   ", "short", "a" * 64, "ab" * 32])
def test_a_weak_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(tk.ConfigurationError, match="token_hex") as caught:
        pseudonym_key(key)
    assert not key.strip() or key not in str(caught.value)


def test_an_empty_variable_is_refused_rather_than_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SO2_PSEUDONYM_KEY", "")
    with pytest.raises(tk.ConfigurationError, match="set but empty"):
        pseudonym_key()
    assert not privacy.key_file().exists()


def test_the_key_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SO2_PSEUDONYM_KEY", KEY)
    assert pseudonym_key().fingerprint == pseudonym_key(KEY).fingerprint
    assert not privacy.key_file().exists()


def test_without_a_key_one_is_made_once() -> None:
    first = pseudonym_key()
    assert pseudonym_key() == first
    assert len(list(privacy.key_file().parent.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_key_file_is_for_its_owner_alone() -> None:
    pseudonym_key()
    assert privacy.key_file().stat().st_mode & 0o777 == 0o600
    privacy.key_file().chmod(0o644)
    with pytest.raises(tk.ConfigurationError, match="chmod 600"):
        pseudonym_key()


def test_of_many_that_make_the_key_at_once_all_get_the_same() -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: pseudonym_key(), range(8)))
    assert len({key.fingerprint for key in keys}) == 1


def test_a_key_shows_itself_nowhere() -> None:
    key = pseudonym_key(KEY)
    assert KEY not in repr(key)
    assert key._secret.hex() not in repr(key)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(key)


def test_the_fingerprint_is_no_pseudonym_and_differs_by_key() -> None:
    assert pseudonym_key(KEY).fingerprint != pseudonym_key(OTHER).fingerprint
    assert isinstance(pseudonym_key(KEY), PseudonymKey)


def test_the_holder_of_the_key_finds_pseudonyms_again() -> None:
    table = reidentify(["ada", "bo"], KEY)
    assert table.columns == ["username", "pseudonym"]
    assert table["pseudonym"][0] == tk.pseudonymize(learners("ada"), KEY).item()
