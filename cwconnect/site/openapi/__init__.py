"""The OpenAPI description of the REST API: operations, and the frame that drf-spectacular puts around them.

`compatible` is a table of the product's routes, of which many share a view; those under `/v1` are described beside
their views and gathered by `modern`. A route that is in neither is a warning, and a test lets none pass.
"""
