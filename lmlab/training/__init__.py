"""One loop, its state, what it minimizes, and how it is saved."""
