"""What the validator keeps, and the only SQL that it has."""

from ironclaw_openclawdbot.proof.store.beats import BeatStore
from ironclaw_openclawdbot.proof.store.records import ProofStore, ProofTransaction, Standing

__all__ = ["BeatStore", "ProofStore", "ProofTransaction", "Standing"]
