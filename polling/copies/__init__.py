"""Copies of whole resources (the first load): asked for, read by the workers, handed out, and deleted again."""
