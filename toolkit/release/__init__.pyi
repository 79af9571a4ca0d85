"""Pseudonyms, for whoever holds the key."""

from .pseudonyms import pseudonymize as pseudonymize
from .pseudonyms import reidentify as reidentify
