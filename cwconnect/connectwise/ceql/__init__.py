"""CEQL, the language of `where`: read into a tree, and written as ConnectWise's `conditions`."""
