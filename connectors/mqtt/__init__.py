"""MQTT in: JSON messages, and Sparkplug B as a host."""
