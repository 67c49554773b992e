"""The Gateway app: one OpenAI-compatible address in front of every LLM that a home uses."""

__version__ = "0.1.0"
