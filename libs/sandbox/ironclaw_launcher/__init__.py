"""The small program around a sandboxed command. Standard library only: it runs without site-packages.

It is process 1 of the sandbox (the warden): applies limits, Landlock and the system call filter to the
command, watches what all its processes use together, ends them all, and reports how it ended.
"""
