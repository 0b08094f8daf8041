"""The spine of the gateway: nouns, log, pipeline, service, local API, console and command."""
