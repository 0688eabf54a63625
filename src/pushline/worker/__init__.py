"""An App in processes of its own, which get their events from the gateways of a Register."""
