"""Posting verdicts on a change in Gerrit: once, checked before and after, with a vote only where one is allowed."""
