"""Static preflight of a model repository."""
