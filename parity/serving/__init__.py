"""Serving: an embedded Triton on this machine, the load on it, and what its metrics say."""
