"""What a message costs, measured: this gateway beside others, on the same work, in one run."""
