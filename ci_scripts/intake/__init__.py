"""What a node left, taken into a workspace of the trusted side: an allow-list of regular files, within limits.

Everything that is read here may have been written by untrusted code: names, sizes, kinds and contents.
"""
