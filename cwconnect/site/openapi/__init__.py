"""The OpenAPI description of the REST API: tables of operations, and the frame that drf-spectacular puts around them.

`compatible` holds the product's routes, `modern` those under `/v1`. A route that stands in neither table is a warning,
and a test lets none pass.
"""
