"""The way to the cloud and back: the gateway's side in `edge`, the cloud's own in `cloud`."""
