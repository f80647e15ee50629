"""What is trained: the networks, one step of each, their state."""
