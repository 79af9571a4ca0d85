"""Pseudonyms, for the holder of the key."""

from .pseudonyms import pseudonymize as pseudonymize
from .pseudonyms import reidentify as reidentify
