import os
import pickle
import random
import re
import secrets
import string
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import toolkit as tk
from toolkit.release import keys
from toolkit.release.keys import PseudonymKey, guess_bits, pseudonym_key, release_secret

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER = "ffeeddccbbaa99887766554433221100"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SO2_PSEUDONYM_KEY", raising=False)
    monkeypatch.delenv("SO2_RELEASE_SECRET", raising=False)
    monkeypatch.setattr(keys.platformdirs, "user_config_path", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "   ",
        "short",
        "a" * 64,
        "ab" * 32,
        "0123456789abcdef" * 2,
        "fedcba9876543210fedcba9876543210",
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "password password password password",
        "correct horse battery staple correct",
        "learner analytics of our university",
    ],
)
def test_a_guessable_key_is_refused_without_showing_it(key: str) -> None:
    for judge in (pseudonym_key, release_secret):
        with pytest.raises(tk.errors.ConfigurationError, match="token_hex") as caught:
            judge(key)
        assert not key.strip() or key not in str(caught.value)


def test_a_random_key_is_never_refused() -> None:
    draws = random.Random(1)  # noqa: S311
    assert min(guess_bits(draws.randbytes(16).hex()) for _ in range(5000)) >= 100
    alphabet = string.ascii_letters + string.digits
    assert min(guess_bits("".join(draws.choices(alphabet, k=32))) for _ in range(5000)) >= 80


def test_no_example_in_docs_or_code_is_a_key_that_would_be_taken() -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for pattern in ("*.md", "docs/**/*.md", "toolkit/**/*.py", "notebooks/*.ipynb")
        for path in ROOT.glob(pattern)
    ]
    keys_shown = [
        found
        for text in texts
        for found in re.findall(r"""(?:key|KEY|SECRET)=\\?["']?([^\s"'`)]{16,})""", text)
        if "secrets." not in found and "$" not in found
    ]
    assert [key for key in keys_shown if len(key) >= 32 and guess_bits(key) >= 80] == []


def test_testing_a_guess_costs_a_stretching() -> None:
    """A fingerprint or a pseudonym is made of the stretched key, never of the text itself."""
    text = secrets.token_hex(16)
    key = pseudonym_key(text)
    cheap = keys.PseudonymKey(keys._bytes(text))
    assert key.fingerprint != cheap.fingerprint
    assert key == PseudonymKey(keys._scrypt(text))


def test_an_empty_variable_is_refused_rather_than_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SO2_PSEUDONYM_KEY", "")
    with pytest.raises(tk.errors.ConfigurationError, match="set but empty"):
        pseudonym_key()
    assert not keys.key_file().exists()


def test_the_key_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SO2_PSEUDONYM_KEY", KEY)
    assert pseudonym_key().fingerprint == pseudonym_key(KEY).fingerprint
    assert not keys.key_file().exists()


def test_without_a_key_one_is_made_once() -> None:
    first = pseudonym_key()
    assert pseudonym_key() == first
    assert len(list(keys.key_file().parent.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_key_file_is_for_its_owner_alone() -> None:
    pseudonym_key()
    assert keys.key_file().stat().st_mode & 0o777 == 0o600
    keys.key_file().chmod(0o644)
    with pytest.raises(tk.errors.ConfigurationError, match="chmod 600"):
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


def test_the_release_secret_lies_beside_the_key_and_is_made_once() -> None:
    first = release_secret()
    assert release_secret() == first
    assert keys.secret_file().parent == keys.key_file().parent
    assert not keys.key_file().exists()
    assert "with reports since then" in first.remark
    if os.name == "posix":
        assert keys.secret_file().stat().st_mode & 0o777 == 0o600


def test_a_release_secret_goes_to_another_process_by_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = release_secret()
    monkeypatch.setenv("SO2_RELEASE_SECRET", first.reveal())
    assert release_secret().reveal() == first.reveal()


def test_who_sets_a_pseudonym_key_needs_no_second_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SO2_PSEUDONYM_KEY", KEY)
    first = release_secret()
    assert release_secret() == first
    assert not keys.secret_file().exists()
    monkeypatch.setenv("SO2_PSEUDONYM_KEY", OTHER)
    assert release_secret().reveal() != first.reveal()


def test_where_no_secret_can_be_kept_its_remark_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(keys.platformdirs, "user_config_path", lambda _: tmp_path / "file")
    secret = release_secret()
    assert "cannot be compared night by night" in secret.remark
    assert release_secret() == secret, "one for the whole process"
    with pytest.raises(tk.errors.ConfigurationError, match="cannot be kept"):
        pseudonym_key()


def test_a_release_secret_shows_itself_nowhere() -> None:
    secret = release_secret()
    assert secret.reveal() not in repr(secret)
    assert repr(secret._secret) not in repr(secret)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret)


def test_a_key_file_that_is_no_text_is_told_of() -> None:
    pseudonym_key()
    keys.key_file().write_bytes(b"\xff\xfe")
    with pytest.raises(tk.errors.ConfigurationError, match="no longer text"):
        pseudonym_key()
