"""The training loop, and what it needs: execution, log, samples, checkpoints, rollback."""
