"""The config as frozen values: every key's name, type, range and default."""

from diffattr.config.base import (
    Fraction,
    Name,
    NonNegative,
    Positive,
    PositiveFloat,
    Section,
    Share,
    Text,
)
from diffattr.config.errors import ConfigError
from diffattr.config.extends import extended
from diffattr.config.methods import (
    Axes,
    Curvature,
    EmbeddingOptions,
    Ensemble,
    MethodOptions,
    Pass,
    ProjectorOptions,
    Sweep,
)
from diffattr.config.schema import (
    check,
    converted,
    json_schema,
    load_schema,
    refuse,
    typed,
    yaml_text,
)
from diffattr.config.sections import (
    PRIMARY,
    Config,
    Counterfactual,
    Data,
    FullModel,
    Jobs,
    Lambdas,
    Lds,
    Losses,
    Measurement,
    Model,
    NoiseSchedule,
    Queries,
    QueryList,
    Recipe,
    Report,
    Sampling,
    SubsetGroup,
    Subsets,
    Training,
    present,
)
