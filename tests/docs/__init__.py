"""The documents: complete, true to the code, and with every link and program in them tried."""
