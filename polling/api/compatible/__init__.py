"""The product's own routes about events and deliveries."""
