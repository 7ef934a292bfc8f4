"""ConnectWise's callbacks: which resources have them, how they are registered, what one says and who signed it."""
