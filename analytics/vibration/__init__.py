"""Vibration from waveform to diagnosis: spectra, envelopes, orders, bearings, zones, faults."""
