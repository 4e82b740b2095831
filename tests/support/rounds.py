"""The record of a round, as tests of several rooms need it."""

from hfi_core.candidates.rounds import AttackSuccess, Round

SUCCESS = AttackSuccess(value=0.5, low=0.4, high=0.6, n=64, calibrated=True)
RECORD = Round(
    concept="badge", number=1, row="anchored", weights=None, evaluation="a" * 64, attacks={"reinverted": SUCCESS}
)
