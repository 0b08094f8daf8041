"""The cloud in one process: takes batches, keeps the lake, retrains and releases models."""
