import string

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.release.keys import ReleaseSecret, release_secret
from toolkit.release.pseudonyms import record_keys, reidentify

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER = "ffeeddccbbaa99887766554433221100"


def learners(*names: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"username": names, "email": [f"{name}@example.com" for name in names]},
        schema={"username": pl.String, "email": pl.String},
    )


def test_usernames_become_pseudonyms_and_addresses_go() -> None:
    hidden = tk.release.pseudonymize(learners("ada", "bo", "ada"), KEY)
    assert hidden.columns == ["username"]
    first, second, third = hidden["username"]
    assert first == third != second
    assert len(first) == 34
    assert set(first.removeprefix("p_")) <= set(string.hexdigits.lower())


def test_the_pseudonym_of_a_username_never_changes_between_versions() -> None:
    assert (
        tk.release.pseudonymize(learners("ada"), KEY).item() == "p_c6e4f9b9250a5231163957ea5a6c2996"
    )


def test_other_columns_stay_as_they_are() -> None:
    frame = pl.DataFrame({"course_id": ["c"], "username": ["ada"], "completion": [0.5]})
    hidden = tk.release.pseudonymize(frame, KEY)
    assert hidden.drop("username").equals(frame.drop("username"))
    assert hidden.columns == frame.columns


def test_a_null_username_stays_null() -> None:
    assert tk.release.pseudonymize(learners(None, "ada"), KEY)["username"].null_count() == 1


def test_an_empty_frame_stays_empty() -> None:
    assert tk.release.pseudonymize(learners(), KEY).schema == {"username": pl.String}


def test_two_keys_share_no_pseudonym() -> None:
    names = learners(*(f"learner{i}" for i in range(1000)))
    one, other = (set(tk.release.pseudonymize(names, key)["username"]) for key in (KEY, OTHER))
    assert len(one) == len(other) == 1000
    assert one.isdisjoint(other)


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), unique=True, max_size=20))
def test_different_usernames_have_different_pseudonyms(names: list[str]) -> None:
    assert tk.release.pseudonymize(learners(*names), KEY)["username"].n_unique() == len(names)


def test_pseudonyms_are_not_hashed_again() -> None:
    once = tk.release.pseudonymize(learners("ada"), KEY)
    with pytest.raises(tk.errors.DisclosureError, match="already"):
        tk.release.pseudonymize(once, KEY)


def test_a_frame_without_identities_is_refused() -> None:
    with pytest.raises(tk.errors.SchemaError, match="username"):
        tk.release.pseudonymize(pl.DataFrame({"completion": [0.1]}), KEY)


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
    assert tk.release.pseudonymize(problems, KEY)["raw"].to_list() == [kept]


def test_the_holder_of_the_key_finds_pseudonyms_again() -> None:
    table = reidentify(["ada", "bo"], KEY)
    assert table.columns == ["username", "pseudonym"]
    assert table["pseudonym"][0] == tk.release.pseudonymize(learners("ada"), KEY).item()


SECRET = release_secret("4f8a1c0be97d2635a6b31f90d7c25e84")
COURSES = [f"course-v1:Org+C{number}+R" for number in range(200)]


def keyed(frame: pl.DataFrame, secret: ReleaseSecret = SECRET) -> pl.Series:
    return frame.select(record_keys(secret)).to_series()


def crossed(n_learners: int, n_courses: int) -> pl.DataFrame:
    """Each learner in each course."""
    names = pl.DataFrame({"username": [f"learner{i}" for i in range(n_learners)]})
    return names.join(pl.DataFrame({"course_id": COURSES[:n_courses]}), how="cross")


def stirred(number: int) -> int:
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
    return number ^ number >> 31


def by_the_book(name: str, course: str) -> int:
    """A record's key in plain integers, as the docstring tells it."""

    def number(text: str, person: bytes) -> int:
        keyed = SECRET.keyed(person, 8)
        keyed.update(text.encode())
        return int.from_bytes(keyed.digest(), "little")

    learner = number(name, b"so2 learner")
    if name.startswith("p_") and len(name) == 34:
        learner = number("", b"so2 pseudonym")
        for start in (2, 10, 18, 26):
            word = name[start : start + 8].encode()
            learner = stirred(learner ^ int.from_bytes(word, "little"))
    return stirred(learner ^ number(course, b"so2 course")) >> 32


def test_a_record_key_never_changes_between_versions() -> None:
    names = ["ada", "p_c6e4f9b9250a5231163957ea5a6c2996", "Zoë", None, "ada"]
    frame = pl.DataFrame({"username": names, "course_id": ["c", "c", "d", "c", None]})
    assert keyed(frame).to_list() == [3362427205, 735628110, 2723558413, None, None]
    assert keyed(frame).dtype == pl.Int64


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8"), max_size=30)
            | st.from_regex(r"p_[0-9a-f]{32}", fullmatch=True),
            st.sampled_from(COURSES),
        ),
        max_size=30,
    )
)
def test_record_keys_are_computed_as_the_docstring_tells(records: list[tuple[str, str]]) -> None:
    frame = pl.DataFrame(
        records, schema={"username": pl.String, "course_id": pl.String}, orient="row"
    )
    assert keyed(frame).to_list() == [by_the_book(*record) for record in records]


def test_a_record_key_depends_on_nothing_but_learner_course_and_secret() -> None:
    frame = pl.concat([crossed(30, 20), tk.release.pseudonymize(crossed(30, 20), KEY)])
    whole = frame.with_columns(k=keyed(frame))
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    lazily = shuffled.lazy().with_columns(k=record_keys(SECRET))
    streamed = lazily.collect(engine="streaming")
    singly = pl.concat([one.with_columns(k=keyed(one)) for one in shuffled.iter_slices(1)])
    for other in (streamed, singly):
        assert whole.sort("username", "course_id").equals(other.sort("username", "course_id"))
    assert whole["k"].n_unique() == 1200


def test_no_record_has_no_key() -> None:
    assert keyed(crossed(1, 1).clear()).dtype == pl.Int64


def test_another_secret_gives_other_keys() -> None:
    frame = crossed(100, 10)
    other = release_secret("84e52cd7f0913ba6d53627e9b0c1a8f4")
    assert (keyed(frame) == keyed(frame, other)).sum() == 0


@pytest.mark.parametrize("hide", [False, True])
def test_sums_of_record_keys_look_random_however_the_sets_overlap(hide: bool) -> None:
    """By learner, by pairs, and of rectangles, which a linear key would betray."""
    frame = crossed(1000, 60)
    if hide:
        frame = tk.release.pseudonymize(frame, KEY)
    frame = frame.with_columns(k=keyed(frame), half=pl.col("course_id").rank("dense") % 2)
    frame = frame.with_columns(pair=pl.col("username").rank("dense") // 2)
    alternating = pl.when(pl.col("username").rank("dense") % 2 == pl.col("half")).then("k")
    rectangle = alternating.sum() - pl.col("k").sum() + alternating.sum()
    for by, number in (
        (["username"], pl.col("k").sum()),
        (["pair"], pl.col("k").sum()),
        (["username", "half"], pl.col("k").sum()),
        (["pair"], rectangle),
    ):
        sums = frame.group_by(by).agg(n=number % 2**32)["n"]
        for modulus in (5, 16):
            observed = (sums % modulus).value_counts()["count"].to_numpy()
            expected = len(sums) / modulus
            chi2 = ((observed - expected) ** 2 / expected).sum()
            assert len(observed) == modulus
            assert chi2 < {5: 23.5, 16: 44.3}[modulus], "1 in 10,000 by chance"
