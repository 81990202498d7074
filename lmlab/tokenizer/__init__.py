"""Text in, ids out: byte-level BPE with the log of its merges."""
