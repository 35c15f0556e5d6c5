"""The frozen settings: one TOML file, the environment over it, flags over both; unknown keys are errors."""
