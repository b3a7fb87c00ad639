"""Output functions: scalars whose parameter gradients are features, and that can be measured.

An output function takes a `Denoising` and returns one number per image; a feature and a measurement
average it over timesteps. A new one is one function and one line in the registry. They use only
tensor methods, so that the registry can be read without loading torch.

Sources: TRAK (Park et al. 2023) uses the gradient of the loss; Zheng et al. (ICLR 2024), Table 1,
compare the seven constructions below, of which the mean square is D-TRAK; the ELBO's weight is that
of DDPM (Ho et al. 2020), eq. 12, with sigma_t^2 = beta_t.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from diffattr import plugins
from diffattr.diffusion.denoising import Denoising, OutputFunction, loss

if TYPE_CHECKING:
    from torch import Tensor


def weighted_mse(denoising: Denoising) -> "Tensor":
    """Return the denoising loss times the timestep's weight in the ELBO (L_ELBO)."""
    return denoising.elbo_weight * loss(denoising)


def mean_squared_l2_norm(denoising: Denoising) -> "Tensor":
    """Return the mean square of the prediction (L_Square; the feature of D-TRAK)."""
    return denoising.prediction.square().flatten(1).mean(1)


def mean(denoising: Denoising) -> "Tensor":
    """Return the mean of the prediction (L_Avg; with unit gradients, the feature of DAS)."""
    return denoising.prediction.flatten(1).mean(1)


def l1_norm(denoising: Denoising) -> "Tensor":
    """Return the sum of absolute values."""
    return denoising.prediction.abs().flatten(1).sum(1)


def l2_norm(denoising: Denoising) -> "Tensor":
    """Return the Euclidean norm; its gradient is NaN if the prediction is zero everywhere."""
    return denoising.prediction.square().flatten(1).sum(1).sqrt()


def linf_norm(denoising: Denoising) -> "Tensor":
    """Return the largest absolute value."""
    return denoising.prediction.abs().flatten(1).amax(1)


def l1_norm_rescaled(denoising: Denoising) -> "Tensor":
    """Return the l1 norm over the number of pixels, the mean absolute value."""
    return denoising.prediction.abs().flatten(1).mean(1)


def l2_norm_rescaled(denoising: Denoising) -> "Tensor":
    """Return the l2 norm over the root of the number of pixels, the root mean square."""
    return mean_squared_l2_norm(denoising).sqrt()


OUTPUT_FUNCTIONS: dict[str, OutputFunction] = {
    "loss": loss,
    "weighted-mse": weighted_mse,
    "mean-squared-l2-norm": mean_squared_l2_norm,
    "mean": mean,
    "l1-norm": l1_norm,
    "l2-norm": l2_norm,
    "linf-norm": linf_norm,
    "l1-norm-rescaled": l1_norm_rescaled,
    "l2-norm-rescaled": l2_norm_rescaled,
}

WEIGHTED = {"weighted-mse": "loss"}
"""Output functions equal to another one times `elbo_weight`, and measured from its table."""


def tables_of(quantities: Iterable[str]) -> list[str]:
    """Return the output functions whose tables give some measured quantities, each once."""
    return list(dict.fromkeys(WEIGHTED.get(name, name) for name in quantities))


def output_function(name: str) -> OutputFunction:
    """Return an output function: a built-in one, or a plug-in.

    Raises:
        PluginError: the plug-in cannot be loaded or, when called, does not return one number per
            image with a gradient.
    """
    if name in OUTPUT_FUNCTIONS:
        return OUTPUT_FUNCTIONS[name]
    function = plugins.load_function("output-functions", name, "a Denoising")

    def checked(denoising: Denoising) -> "Tensor":
        from torch import Tensor

        found = plugins.call(name, function, denoising)
        if not isinstance(found, Tensor):
            raise plugins.PluginError(
                f"plug-in {name}: returned {plugins.kind(found)}, a tensor expected"
            )
        expected = (len(denoising.prediction),)
        if tuple(found.shape) != expected:
            raise plugins.PluginError(
                f"plug-in {name}: returned shape {tuple(found.shape)}, {expected} expected, one"
                " number per image"
            )
        if denoising.prediction.requires_grad and not found.requires_grad:
            raise plugins.PluginError(
                f"plug-in {name}: what it returns does not depend on the prediction, so it has no"
                " gradient"
            )
        return found

    return checked
