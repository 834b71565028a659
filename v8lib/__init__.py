"""The method of the V8 suite: what a notebook imports, and nothing else.

Modules are imported by name (``from v8lib import features, labels``), so that a
notebook loads only what it uses; torch comes in with the net and its training
alone.
"""

import sys

# jsonschema imports rfc3987_syntax if it is installed (JupyterLab brings it), and that
# package builds a grammar at import: two seconds of CPU in every kernel, for IRI checks
# that nothing here asks for. jsonschema treats a missing package as "no IRI checks".
sys.modules.setdefault("rfc3987_syntax", None)
