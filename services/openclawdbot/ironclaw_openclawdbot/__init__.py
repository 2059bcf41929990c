"""openclawdbot: takes signed milestones and demand summaries in, and shows them."""
