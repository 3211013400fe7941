"""Who is blamed when one thing is wrong? The real job on the real local gate with one fault at a time."""
