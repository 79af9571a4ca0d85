"""Charts: each turns a released result into an `alt.Chart`. None computes a statistic."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
