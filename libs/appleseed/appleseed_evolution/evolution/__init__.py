"""Evolution: from feedback to proposals, through the gate, past an operator, into skill files and back."""
