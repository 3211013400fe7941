"""Sphinx' configuration. Nothing is fetched: theme and extensions are those of the project's own environment."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "openstack-driver-ci"
author = "the authors of openstack-driver-ci"
copyright = author

extensions = ["myst_parser", "ci_yaml_directive", "command_options"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "extensions"]

myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
# A command in a text would get curly quotes, which no shell knows.
smartquotes = False

html_theme = "alabaster"
html_title = project
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"**": ["about.html", "navigation.html", "searchfield.html"]}
html_theme_options = {
    "description": "The stages of an OpenStack third-party CI",
    "fixed_sidebar": True,
    "page_width": "74rem",
    "sidebar_width": "17rem",
    "body_text_align": "left",
    "show_powered_by": False,
    "sidebar_collapse": True,
}
