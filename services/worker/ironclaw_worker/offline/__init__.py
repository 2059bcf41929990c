"""The offline provider: what serves when there is no model key. Deterministic, and labelled as what it is."""
