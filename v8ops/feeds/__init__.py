"""Bars in: checked, and fetched from exchanges and archives."""
