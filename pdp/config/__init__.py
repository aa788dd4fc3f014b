"""The service's settings: one documented file, overridden by the environment and by options."""
