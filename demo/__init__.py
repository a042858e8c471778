"""How the demo data set and the demo weights were made."""
