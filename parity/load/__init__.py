"""Load on both served paths: requests sent, latency measured, and what can honestly be said of it."""
