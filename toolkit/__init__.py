"""Learner grades, enrollments and completion of an Open edX platform, as Polars dataframes.

Usually `import toolkit as tk`. The names below are loaded when first used, so that importing
the package costs nothing; `__init__.pyi` is the list of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
