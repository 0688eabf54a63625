"""GatewayWorker's wire from its clients' and workers' side: the Register and the gateways."""
