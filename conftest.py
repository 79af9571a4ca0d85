"""Every test and doctest rounds with one secret, and makes no key in the home folder."""

import os


def pytest_configure() -> None:
    os.environ["SO2_RELEASE_SECRET"] = (
        "6d1f0b8e93c47a25d0e86b3f19a7c5428e54f7013b9d62ac70f5e84d16b2c93a"
    )
