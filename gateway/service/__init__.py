"""The composition root of the gateway: builds the parts from a configuration and runs them."""
