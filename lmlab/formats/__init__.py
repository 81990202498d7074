"""Bytes on disk: model folders in the Hugging Face shape, written atomically."""
