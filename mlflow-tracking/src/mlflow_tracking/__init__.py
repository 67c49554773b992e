"""The Tracking app: MLflow's server for one home, in one process, safe behind ingress."""

__version__ = "0.1.0"
