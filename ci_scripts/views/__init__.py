"""Views of a verdict: HTML, JUnit, the classic table of results, and text for a terminal."""
