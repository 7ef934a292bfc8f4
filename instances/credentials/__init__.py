"""What is handed out: secrets of callers, tokens of instances, signature keys. Made here, shown once."""
