"""The only package that imports Great Expectations."""
