"""What an app loads: Generator and Critic."""
