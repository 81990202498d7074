"""What a lab shows: one file a kind."""
