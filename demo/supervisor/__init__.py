"""A stand-in for Home Assistant's Supervisor: installs apps from their own declarations and runs them as processes.

It answers what Home Assistant Core 2026.11, its frontend and bashio ask, in the shapes that the real one (2026.08) was
seen to answer; containers, images, backups and updates of the system are beyond it.
"""
