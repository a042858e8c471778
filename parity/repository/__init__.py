"""The Triton model repository: configurations, exported networks, engines."""
