"""Models: ids in, log-probabilities out, never text. `language_model.py` says what all of them promise."""
