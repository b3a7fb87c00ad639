"""The config as frozen values: every key's name, type, range and default."""

from diffattr.config.base import Positive, Section, Share
from diffattr.config.errors import ConfigError, refuse
from diffattr.config.extends import extended
from diffattr.config.methods import (
    Curvature,
    EmbeddingOptions,
    MethodOptions,
    Pass,
    ProjectorOptions,
    Sweep,
)
from diffattr.config.schema import check, json_schema, typed, yaml_text
from diffattr.config.sections import (
    PRIMARY,
    Config,
    Counterfactual,
    Data,
    Lds,
    Losses,
    Measurement,
    Model,
    NoiseSchedule,
    Queries,
    QueryList,
    Recipe,
    Sampling,
    SubsetGroup,
    Training,
    present,
)
