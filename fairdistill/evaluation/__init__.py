"""From predictions to accuracy and DEO, and the uncertainty of each."""
