"""Learning: figures of what each profile came to, and the routing policy drawn from them."""
