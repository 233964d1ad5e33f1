"""What one version of a rules file does otherwise than another: which keys changed, and which requests go elsewhere.

Pure. ``edits`` compares the text of the rules, ``effects`` what it does to requests, ``replay`` what it would have done
to the requests of an access log; ``difference`` puts the first two together.
"""
