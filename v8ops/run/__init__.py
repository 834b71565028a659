"""Running the notebooks for many symbols and rendering what they found."""
