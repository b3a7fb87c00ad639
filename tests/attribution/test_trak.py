"""TRAK against retraining without one image, where that has a closed form."""

import numpy as np
import pytest

from diffattr.attribution.trak import Trak


def regression_with_unit_residuals():
    """Every input appears twice, with labels one above and one below the line.

    Then every residual of the least-squares fit is +-1 and TRAK's kernel of gradients,
    sum 4 r^2 x x', is exactly four times sum x x', half the Hessian of the summed loss.
    """
    generator = np.random.default_rng(0)
    half, weights = generator.normal(size=(10, 3)), generator.normal(size=3)
    x = np.repeat(half, 2, axis=0)
    return x, x @ weights + np.tile([1.0, -1.0], 10), weights, generator


def test_a_score_is_what_leaving_the_image_out_adds_to_the_query_loss_to_first_order():
    x, y, weights, generator = regression_with_unit_residuals()
    x_queries = generator.normal(size=(4, 3))
    y_queries = x_queries @ weights + generator.normal(size=4)

    def gradients(inputs, labels):
        return 2 * inputs * (inputs @ weights - labels)[:, None]

    tau = (
        Trak(output_function="loss")
        .attribute(gradients(x, y), gradients(x_queries, y_queries))
        .scores(1e-12)
    )
    leverage = np.einsum("ni,ij,nj->n", x, np.linalg.inv(x.T @ x), x)
    for image in range(len(x)):
        kept = np.arange(len(x)) != image
        without = np.linalg.lstsq(x[kept], y[kept], rcond=None)[0]
        added = (x_queries @ without - y_queries) ** 2 - (x_queries @ weights - y_queries) ** 2
        # The query loss is a parabola: without its second-order term the relation is exact
        # (Sherman and Morrison 1950; the step is longer by 1 / (1 - leverage)).
        first_order = added - (x_queries @ (without - weights)) ** 2
        # 1e-9: rounding of two least-squares fits; lambda adds 1e-12.
        np.testing.assert_allclose(
            2 * tau[:, image] / (1 - leverage[image]), first_order, atol=1e-9
        )


@pytest.mark.parametrize("lam", [1e-3, 1.0])
def test_a_self_score_lies_between_zero_and_one(lam):
    # It is a leverage of ridge regression, and leverages sum to the effective dimension.
    train = np.random.default_rng(1).normal(size=(12, 5))
    leverages = np.diag(Trak(output_function="loss").attribute(train, train).scores(lam))
    assert ((leverages > 0) & (leverages < 1)).all()
    eigenvalues = np.linalg.eigvalsh(train.T @ train)
    ridge = lam * np.mean([phi @ phi for phi in train])
    assert leverages.sum() == pytest.approx((eigenvalues / (eigenvalues + ridge)).sum(), rel=1e-10)
