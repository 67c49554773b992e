// Runs in MLflow's page before MLflow's own script; START is the address to open at, if any.

// No telemetry worker, and no banner about it; MLflow's Assistant does not open by itself.
// The names are those under which MLflow's interface keeps these settings (version 1 of each).
const settings = {
  "mlflow.settings.telemetry.enabled_v1": "false",
  "mlflow.telemetry.info.alert.dismissed_v1": "true",
  "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
};
try {
  for (const [name, value] of Object.entries(settings)) {
    localStorage.setItem(name, value);
  }
} catch {
  // A browser that keeps nothing keeps no settings either.
}

if (START && !location.hash) {
  history.replaceState(null, "", START);
}

// MLflow writes some links as "/#/...", which is Home Assistant's root here: stay in this page.
const outOfFrame = (address) => typeof address === "string" && address.startsWith("/#");
const openWindow = window.open;
window.open = (address, ...rest) => {
  if (!outOfFrame(address)) {
    return openWindow.call(window, address, ...rest);
  }
  location.hash = address.slice(1);
  return null;
};
document.addEventListener(
  "click",
  (event) => {
    const link = event.target instanceof Element && event.target.closest("a[href]");
    if (link && outOfFrame(link.getAttribute("href"))) {
      event.preventDefault();
      location.hash = link.getAttribute("href").slice(1);
    }
  },
  true,
);

// The empty traces page shows a film from mlflow.org: media from outside are not loaded.
for (const { prototype } of [HTMLMediaElement, HTMLSourceElement]) {
  prototype.setAttribute = function (name, value) {
    if (name === "src" && new URL(value, location.href).origin !== location.origin) {
      return;
    }
    Element.prototype.setAttribute.call(this, name, value);
  };
}
