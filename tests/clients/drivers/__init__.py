"""Programs that call the service through a generated client, one for each generator.

They run outside of the tests' environment, and know nothing of it. Each takes the client's folder and the service's URL
as arguments. A line of its standard input is a call: `{"id", "tag", "method", "path", "authorization", "parameters",
"body"}`. A line of its standard output is what came: `{"status", "raw", "parsed", "sent"}`: the answer's text, what the
client's model of it says, and what the client's model of the body says.
"""
