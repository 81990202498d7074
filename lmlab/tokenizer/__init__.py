"""Text in, ids out: byte-pair encoding with its event log, and the lecture's ten-word dictionary."""
