"""Simulated bedside devices: they play records and synthetic patients over MQTT."""
