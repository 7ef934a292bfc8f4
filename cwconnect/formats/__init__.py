"""How times are written, by language; Django looks for the modules `{language}.formats` here."""
