"""Do two answers agree? `compare.compare` asks bytes first, then what they mean, then where they differ. Pure.

`bodies`, `values`, `html_body` and `xml_body` read; `walk`, `trees`, `alignment` and `reorder` find the places; `masks`
excuse.
"""
