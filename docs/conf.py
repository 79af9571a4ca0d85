"""The documentation site: `make docs` builds it, offline, with warnings as errors."""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
sys.path.insert(0, str(HERE.parent))
for name in ("SO2_BASE_URL", "SO2_TOKEN", "SO2_SNAPSHOT", "SO2_OULAD"):
    os.environ[name] = ""  # the site shows the sandbox, whatever this machine is set to

project = "SO2 toolkit"
author = "The SO2 toolkit authors"
project_copyright = author
version = release = installed("so2-toolkit")
language = "en"

extensions = [
    "executed",
    "mathml",
    "myst_parser",
    "sphinx.ext.autodoc",
    "generated",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_ext", "_build"]
suppress_warnings = ["config.cache"]
nitpicky = False
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = ["http", "https"]
html_math_renderer = "mathml"

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ["Source", "Sources"]
python_display_short_literal_types = True

html_theme = "pydata_sphinx_theme"
html_title = f"SO2 toolkit {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_persistent": ["search-button-field"],
    "collapse_navigation": True,
    "header_links_before_dropdown": 7,
    "back_to_top_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
