"""From predictions to accuracy and DEO, and how far each may be trusted."""
