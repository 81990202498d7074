"""Ids in, log-probabilities out; never text."""
