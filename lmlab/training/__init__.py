"""Training: one loop for every stage, from the first gradient step to a folder that `lab.load` opens."""
