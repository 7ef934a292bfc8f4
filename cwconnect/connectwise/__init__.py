"""All that knows ConnectWise: a library that imports no Django and that one could publish by itself."""
