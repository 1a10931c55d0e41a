"""The page of a study: one HTML file with all of its results, which needs no network to be looked at."""
