"""Stands where MLflow asks for databricks.agents without a guard: there is none."""
