"""Text meets ids: corpora, the town, batches."""
