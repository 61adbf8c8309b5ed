"""LambdaRank per target: folds, negative sampling, training, prediction, blending."""

import os

# Idle threads of OpenMP spin by default, which slows LightGBM several times beside any other busy process. The policy
# is read once, when the first library with OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
