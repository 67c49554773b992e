"""A recorded day of a home, made by a program from a seed: what forty things reported, and the truth.

`people` is who does what where, `things` what the forty entities are, `reports` what each of them
says of it, and `record` the whole day.
"""
