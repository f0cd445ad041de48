"""Measuring speed: `python -m minigrad.bench`."""
