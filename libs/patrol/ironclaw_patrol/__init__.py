"""The patrol: who leads it, what it decides, how it recovers orders, and how good it is.

The duty officer runs it; the sentinel runs the same one while the duty officer is dead (seed 3.8, 3.9).
"""
