"""What changed: due polls and sweeps → runs → pages of records → changes, events and the cursor; and their proof."""
