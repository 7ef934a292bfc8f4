"""Second factors: who must have one, what guards their secrets, how codes are checked, and who hears of changes.

The factors are django-allauth's (`allauth.mfa`): apps that show codes (TOTP), passkeys (WebAuthn), recovery codes.
`rule` says who must have one; `adapter` seals their secrets; `codes` checks what is typed, once each; `counting` has
guesses wait; `notices` writes the audit log and mails; `removal` is for people who lost theirs.
"""
