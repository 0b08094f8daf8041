"""OPC UA: one server, subscribed to and polled."""
