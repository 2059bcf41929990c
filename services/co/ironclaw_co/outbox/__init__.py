"""The fleet as an emitter: milestones and demand summaries, from the ledger to openclawdbot."""
