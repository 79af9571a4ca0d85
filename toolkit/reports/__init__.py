"""Notebooks → executed → a site of HTML pages that needs no network."""
