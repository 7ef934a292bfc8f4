"""What stands under cwconnect/deploy for Kubernetes, Prometheus and Grafana, read by the programs that will read it."""
