"""The stages of post-training over three seeds, mean and spread: figures of what happens, not ratios. Ten minutes."""

from tools.post_training import main

if __name__ == "__main__":
    main()
