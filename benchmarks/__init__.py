"""Side-by-side measurements of the suite and of what people would use instead.

Run on demand with ``make bench``; not part of an installation. Ratios between things measured
in the same rounds on the same machine are what counts; seconds belong to that machine.
"""
