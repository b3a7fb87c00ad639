"""The only reader and writer of files.

Writes are atomic: an artifact is written to a temporary file beside it, flushed to disk and
renamed. Its bytes are a pure function of the config, so that building it again gives the same file.
What differs between runs (time, host, versions) is recorded with its checksum in a sidecar,
`<artifact>.provenance.json`.
"""

from diffattr.artifacts.atomic import atomic_write, remove_stale_temporaries, scratch
from diffattr.artifacts.formats import (
    Arrays,
    ArtifactError,
    Result,
    as_list,
    read_array,
    read_arrays,
    read_json,
    read_struct,
    readable,
    write_array,
    write_arrays,
    write_json,
    write_rows,
    write_tensors,
    write_text,
)
from diffattr.artifacts.provenance import (
    PROVENANCE_SUFFIX,
    checksum,
    damage,
    damaged,
    provenance_path,
    read_provenance,
    set_aside,
)
