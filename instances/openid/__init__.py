"""Signing in by an issuer of OpenID Connect: a company's own sign-in (docs/operations.md#sign-in-by-an-issuer).

`issuer` is who it is, by settings; `exchange` asks it by the outbound client; `discovery` keeps what it says of itself;
`id_tokens` judges what it signed; `claims` reads that; `groups` makes memberships of groups; `flow` takes a person
there and back; `adapter` is what django-allauth asks; `second_factor` tells whether the issuer saw one.

allauth's own exchange reads an ID token without its signature, sends no nonce, takes the issuer's word for which issuer
it is, and follows redirects to wherever. So the exchange is ours, and allauth's the account, its link and the sign-in.
"""
