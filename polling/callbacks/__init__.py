"""ConnectWise's callbacks: registered, received, judged, and turned into polls that are due."""
