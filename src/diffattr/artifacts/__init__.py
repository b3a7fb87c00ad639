"""The only reader and writer of files.

An artifact appears whole or not at all: it is written beside its place, flushed to the disk and
renamed. Its bytes are a pure function of the config, so that building it again gives the same
file; what differs between two runs (time, host, versions) stands in a sidecar,
`<artifact>.provenance.json`, together with the artifact's checksum.
"""

from diffattr.artifacts.atomic import atomic_write, remove_stale_temporaries, scratch
from diffattr.artifacts.formats import (
    Arrays,
    ArtifactError,
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
