"""Appleseed evolution: runtime events in, audited skill changes out, over one state directory.

The operations work on a `Workspace`; what they decide is in pure modules of their own.
"""
