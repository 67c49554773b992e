"""Apps as the Supervisor's API tells of them (`/store`, `/addons`, `/addons/<slug>/info`)."""

from typing import Any

from demo.supervisor.app import App
from demo.supervisor.declaration import form

REPOSITORY = {
    "name": "MLflow for Home Assistant (this checkout)",
    "source": "/addons/local",
    "url": "https://example.invalid/mlflow-home-assistant",
    "maintainer": "the demo",
}


def store_entry(app: App, *, installed: bool) -> dict[str, Any]:
    """What the store shows of an app."""
    content = app.declaration.content
    folder = app.declaration.folder
    return {
        "advanced": False,
        "available": True,
        "arch": content["arch"],
        "build": True,
        "description": content["description"],
        "documentation": bool(app.declaration.text("DOCS.md")),
        "homeassistant": content.get("homeassistant"),
        "icon": (folder / "icon.png").exists(),
        "logo": (folder / "logo.png").exists(),
        "name": content["name"],
        "repository": app.slug.split("_")[0],
        "slug": app.slug,
        "stage": content.get("stage", "stable"),
        "update_available": False,
        "url": content.get("url"),
        "version_latest": content["version"],
        "version": content["version"] if installed else None,
        "installed": installed,
    }


def installed_entry(app: App) -> dict[str, Any]:
    """What the list of installed apps says of one."""
    entry = store_entry(app, installed=True)
    return {**entry, "detached": False, "state": app.state, "system_managed": False}


def complete(app: App) -> dict[str, Any]:
    """All that the page of an app shows, its options and their form included."""
    content = app.declaration.content
    ingress = bool(content.get("ingress"))
    entry = f"/api/hassio_ingress/{app.ingress_token}" if ingress else None
    absent = (
        "auth_api",
        "docker_api",
        "full_access",
        "host_network",
        "host_pid",
        "host_ipc",
        "host_uts",
        "host_dbus",
        "signed",
        "stdin",
        "gpio",
        "usb",
        "uart",
        "kernel_modules",
        "devicetree",
        "udev",
        "video",
        "audio",
        "auto_update",
        "system_managed",
    )
    return {
        **installed_entry(app),
        **dict.fromkeys(absent, False),
        "apparmor": "profile" if (app.declaration.folder / "apparmor.txt").exists() else "default",
        "audio_input": None,
        "audio_output": None,
        "boot": app.boot,
        "boot_config": content.get("boot", "auto"),
        "changelog": bool(app.declaration.text("CHANGELOG.md")),
        "devices": [],
        "discovery": content.get("discovery", []),
        "dns": [f"{hostname(app)}.local.hass.io"],
        "hassio_api": content.get("hassio_api", False),
        "hassio_role": content.get("hassio_role", "default"),
        "homeassistant_api": content.get("homeassistant_api", False),
        "hostname": hostname(app),
        "ingress": ingress,
        "ingress_entry": entry,
        "ingress_panel": app.ingress_panel if ingress else None,
        "ingress_port": app.ingress_port if ingress else None,
        "ingress_url": f"{entry}/{content.get('ingress_entry', '').lstrip('/')}" if entry else None,
        "ip_address": app.address,
        "long_description": app.declaration.text("README.md"),
        "machine": [],
        "network": content.get("ports"),
        "network_description": content.get("ports_description"),
        "options": app.options,
        "privileged": [],
        "protected": True,
        "rating": 8,
        "schema": form(app.declaration.schema),
        "services": [],
        "startup": content.get("startup", "application"),
        "system_managed_config_entry": None,
        "translations": app.declaration.translations,
        "watchdog": app.watchdog,
        "webui": None,
    }


def hostname(app: App) -> str:
    """The app's name on the Supervisor's network."""
    return app.slug.replace("_", "-")
