"""Removes deleted runs and experiments for good: a process that the retention starts at night."""

import sys

from .mlflow_server import purge_deleted

if __name__ == "__main__":
    purge_deleted(int(sys.argv[1]))
