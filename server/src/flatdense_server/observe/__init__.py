"""What operators see: metrics, prediction health, logs and traces."""
