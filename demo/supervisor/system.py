"""What the stand-in Supervisor says of the system below Home Assistant: constant, and no more than Core asks for."""

from typing import Any

VERSION = "2026.11.0"
# What Core and its frontend tell the Supervisor, where nothing has to happen here.
ACCEPTED = {
    "/core/options",
    "/homeassistant/options",
    "/supervisor/options",
    "/supervisor/reload",
    "/supervisor/repair",
    "/refresh_updates",
    "/reload_updates",
    "/store/reload",
    "/resolution/healthcheck",
    "/backups/reload",
    "/backups/options",
}
STATS = {
    "cpu_percent": 0.1,
    "memory_usage": 1,
    "memory_limit": 2,
    "memory_percent": 0.5,
    "network_rx": 0,
    "network_tx": 0,
    "blk_read": 0,
    "blk_write": 0,
}


def answers(core_version: str, core_port: int) -> dict[str, dict[str, Any]]:
    """GET path -> data, for what does not change while the demo runs."""
    common = {"machine": "qemux86-64", "arch": "amd64"}
    return {
        "/supervisor/ping": {},
        "/info": common
        | {
            "supervisor": VERSION,
            "homeassistant": core_version,
            "hassos": "17.0",
            "docker": "28.0.0",
            "hostname": "homeassistant",
            "operating_system": "A stand-in Supervisor",
            "features": [],
            "machine_id": "0" * 32,
            "state": "running",
            "supported_arch": ["amd64"],
            "supported": True,
            "channel": "stable",
            "logging": "info",
            "timezone": "Europe/Amsterdam",
        },
        "/core/info": common
        | {
            "version": core_version,
            "version_latest": core_version,
            "update_available": False,
            "ip_address": "127.0.0.1",
            "image": "ghcr.io/home-assistant/qemux86-64-homeassistant",
            "boot": True,
            "port": core_port,
            "ssl": False,
            "watchdog": True,
            "audio_input": None,
            "audio_output": None,
            "backups_exclude_database": False,
            "duplicate_log_file": False,
        },
        "/supervisor/info": {
            "version": VERSION,
            "version_latest": VERSION,
            "update_available": False,
            "channel": "stable",
            "arch": "amd64",
            "supported": True,
            "healthy": True,
            "ip_address": "127.0.0.1",
            "timezone": "Europe/Amsterdam",
            "logging": "info",
            "debug": False,
            "debug_block": False,
            "diagnostics": False,
            "auto_update": False,
            "country": "NL",
            "detect_blocking_io": False,
            "feature_flags": {},
        },
        "/os/info": {
            "version": "17.0",
            "version_latest": "17.0",
            "version_pending": None,
            "update_available": False,
            "board": "ova",
            "boot": "A",
            "data_disk": None,
            "boot_slots": {},
        },
        "/host/info": {
            **dict.fromkeys(
                (
                    "agent_version",
                    "apparmor_version",
                    "chassis",
                    "virtualization",
                    "cpe",
                    "deployment",
                    "disk_life_time",
                    "llmnr_hostname",
                    "kernel",
                    "operating_system",
                    "timezone",
                    "dt_utc",
                    "dt_synchronized",
                    "use_ntp",
                    "startup_time",
                    "boot_timestamp",
                    "broadcast_llmnr",
                    "broadcast_mdns",
                )
            ),
            "disk_free": 1.0,
            "disk_total": 2.0,
            "disk_used": 1.0,
            "features": [],
            "hostname": "homeassistant",
        },
        "/network/info": {
            "interfaces": [],
            "docker": {
                "interface": "hassio",
                "address": "172.30.32.0/23",
                "gateway": "172.30.32.1",
                "dns": "172.30.32.3",
            },
            "host_internet": False,
            "supervisor_internet": False,
        },
        "/mounts": {"default_backup_mount": None, "mounts": []},
        "/jobs/info": {"ignore_conditions": [], "jobs": []},
        "/core/stats": STATS,
        "/supervisor/stats": STATS,
        "/resolution/info": {
            "suggestions": [],
            "unsupported": [],
            "unhealthy": [],
            "issues": [],
            "checks": [],
        },
        "/backups": {"backups": []},
        "/backups/info": {"backups": [], "days_until_stale": 30},
        "/available_updates": {"available_updates": []},
        "/audio/info": {
            "host": "",
            "version": VERSION,
            "audio": {"card": [], "input": [], "output": [], "application": []},
        },
        "/hardware/info": {"devices": [], "drives": []},
    }
