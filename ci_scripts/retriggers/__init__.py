"""Having changes tested again by Jenkins or Zuul: each once, oldest first, so many at a time."""
