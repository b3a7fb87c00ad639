"""What each job depends on in addition to its input files, as text that Snakemake compares."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from diffattr import plugins
from diffattr.attribution.lambda_rule import named_lambda
from diffattr.benchmark.methods import PlannedMethod
from diffattr.benchmark.paths import TRAJECTORY
from diffattr.benchmark.registries import REGISTRIES
from diffattr.config import Config, Recipe, present
from diffattr.counterfactual.removals import is_random
from diffattr.versions import RESULT_VERSION


@dataclass(frozen=True)
class Params:
    """Canonical JSON of the config values that a job uses, and only those."""

    config: Config
    methods: Mapping[str, PlannedMethod]

    def __call__(self, stage: str, **values: Any) -> str:
        """Return the version of a stage and some values as one canonical text.

        It is one text since Snakemake compares params as a set of texts without names, and has only
        the values that the stage uses, so that no other change reruns it.
        """
        used = {"version": RESULT_VERSION[stage], **msgspec.to_builtins(values)}
        return json.dumps(used, sort_keys=True)

    @staticmethod
    def plugins(registry: str, *names: str) -> dict[str, Any]:
        """Return the identity of every plug-in among some names of a registry."""
        used = [name for name in names if name not in REGISTRIES[registry]]
        return {name: plugins.identity(registry, name) for name in used}

    def data(self, **values: Any) -> str:
        """Return the params of a job that reads the data set."""
        data = self.config.data
        return self("data", data=data, plugins=self.plugins("data-sources", data.source), **values)

    def training(self, **values: Any) -> str:
        """Return the params of a job that trains models."""
        config = self.config
        recipe = Recipe(
            model=config.model,
            noise_schedule=config.noise_schedule,
            training=present(config.training, "training"),
        )
        return self("training", recipe=recipe, **values)

    def sampling(self, **values: Any) -> str:
        """Return the params of a job that samples from the full model."""
        config = self.config
        return self(
            "sampling",
            noise_schedule=config.noise_schedule,
            sampling=present(config.sampling, "sampling"),
            seed=config.seed,
            **values,
        )

    def features(self, gradient_pass: str, source: str, **values: Any) -> str:
        """Return the params of a gradient job on a split, or on sampling trajectories."""
        config, chosen = self.config, self.config.features[gradient_pass]
        split, steps = source, None
        if source == TRAJECTORY:
            sampling = present(config.sampling, "sampling")
            # Without the number of images, on which no gradient depends.
            steps = {"n_steps": sampling.n_steps, "steps_offset": sampling.steps_offset}
            split = "gen"
        return self(
            "features",
            noise_schedule=config.noise_schedule,
            gradient_pass=chosen,
            seed=config.seed,
            split=split,
            sampling=steps,
            plugins=self.plugins("output-functions", *chosen.output_functions),
            **values,
        )

    def method(self, name: str, **values: Any) -> str:
        """Return the params of an attribution job."""
        planned = self.methods[name]
        method = {
            "method": planned.kind,
            "options": self.config.methods[name].options,
            "output_function": planned.output_function,
            "weights": planned.weights,
            "n_retrained": planned.n_retrained,
            "noise_schedule": self.config.noise_schedule if planned.method.noises else None,
            "plugins": self.plugins("methods", planned.kind),
        }
        return self("attribution", method=method, **values)

    def lambda_of(self, name: str) -> float | None:
        """Return a method's lambda in the config, None if LDS selects it or the method has none."""
        if self.config.measurement is not None or not self.methods[name].has_lambda:
            return None
        return named_lambda(self.methods[name].kind, self.config.methods[name].lam)

    def comparison(self, **values: Any) -> str:
        """Return the params of the job that compares redrawn queries with the originals."""
        config = self.config
        chosen = present(config.counterfactual, "counterfactual")
        measurement = present(config.measurement, "measurement")
        return self(
            "counterfactual",
            section=chosen,
            embeddings={name: config.embeddings[name] for name in chosen.embeddings},
            random=next(name for name in chosen.methods if is_random(config, name)),
            n_train=config.data.n_train,
            n_timesteps=measurement.losses.n_timesteps,
            lds=measurement.lds,
            noise_schedule=config.noise_schedule,
            seed=config.seed,
            **values,
        )

    def redrawing(self, **values: Any) -> str:
        """Return the params of a job that redraws queries or computes their losses."""
        config = self.config
        return self(
            "counterfactual",
            noise_schedule=config.noise_schedule,
            sampling=config.sampling,
            losses=present(config.measurement, "measurement").losses,
            seed=config.seed,
            **values,
        )
