"""Ordinary networks and layers; no probability here."""
