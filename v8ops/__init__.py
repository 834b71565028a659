"""The machinery around the method: running notebooks, rendering reports, production."""
