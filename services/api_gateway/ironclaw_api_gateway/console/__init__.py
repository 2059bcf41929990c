"""The operator's console: pages for browsers over what the gateway serves to programs."""
