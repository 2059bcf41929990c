"""Published cases that tell a foreign sender or receiver, one by one, what it gets wrong."""
