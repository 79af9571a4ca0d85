"""Charts: a released result becomes an `alt.Chart`. Nothing here computes a statistic."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
