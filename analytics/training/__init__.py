"""Trains models from recordings; heavy libraries are imported when a training begins."""
