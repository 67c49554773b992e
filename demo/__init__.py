"""A demo of everything together: a real Home Assistant, both apps as processes, and stand-ins for what cannot run here.

Stand-ins: the Supervisor (`demo.supervisor`), its shell library (`demo/bashio`) and the language model (`demo.model`).
"""
