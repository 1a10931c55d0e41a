"""What a user can set: one class per thing that has settings, and the checks of a configuration."""
