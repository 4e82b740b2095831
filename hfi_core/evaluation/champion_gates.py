"""Gates against the present champion: a release must be shown not to be worse at the same prompts and seeds."""

from hfi_core.errors import UserError
from hfi_core.evaluation.comparison import Records, difference
from hfi_core.evaluation.gates import Verdict
from hfi_core.params import Params


def verdicts_against(params: Params, ours: Records, champion: Records) -> list[Verdict]:
    """Hold a release's pictures against the champion's at the same prompts and seeds (`not_worse_by`).

    A test of non-inferiority: the whole interval of the paired difference must keep the bound, so too few pictures
    fail. All gates must pass, so no correction for several of them is needed (Berger 1982).
    """
    gates = {
        metric: gate.not_worse_by for metric, gate in params.release.gates.items() if gate.not_worse_by is not None
    }
    return [_against(params, metric, bound, ours, champion) for metric, bound in sorted(gates.items())]


def _against(params: Params, metric: str, bound: float, ours: Records, champion: Records) -> Verdict:
    try:
        worse = difference(params, metric, ours, champion).worsening
    except UserError as error:
        return Verdict(metric, False, False, f"not comparable with the champion: {error}")
    passed = worse.high <= bound
    told = f"worse than the champion by {worse.value:.4g} [{worse.low:.4g}, {worse.high:.4g}], at most {bound:.4g}"
    return Verdict(metric, passed, passed or worse.low > bound, told)
