"""Production: rollout, serving, monitoring."""
