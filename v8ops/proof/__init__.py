"""Proof that the suite does what it says: known answers, broken models, real bars, ablation."""
