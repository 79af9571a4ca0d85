"""Reports: notebooks executed and written as a site of HTML pages that needs no network."""

import lazy_loader

import toolkit.charts as _charts  # noqa: F401  # before nbformat, see there

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
