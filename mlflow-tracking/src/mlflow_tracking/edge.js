// Runs in MLflow's page before MLflow's own script; START is the address to open at, if any.

// No telemetry worker, and no banner about it; MLflow's Assistant does not open by itself, and no hint lies over the
// traces at a first visit.
// The names are those under which MLflow's interface keeps these settings (version 1 of each).
const settings = {
  "mlflow.settings.telemetry.enabled_v1": "false",
  "mlflow.telemetry.info.alert.dismissed_v1": "true",
  "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
  "mlflow.detectIssues.guidanceShown_v1": "true",
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

// Home Assistant's ingress refuses larger requests, after all of it has been sent: say so before.
const LARGEST = 16 * 1024 * 1024;
const TOO_LARGE =
  "This is larger than the 16 MiB that can be sent through Home Assistant. Use MLflow's own client with this app's API" +
  " port instead: the app's documentation tells how.";

const partSize = (part) => (typeof part === "string" ? new Blob([part]).size : part.size);
const bodySize = (body) => {
  if (typeof body === "string") {
    // Three bytes at most for each unit: most strings need no closer look.
    return body.length * 3 > LARGEST ? partSize(body) : body.length;
  }
  if (body instanceof FormData) {
    return [...body.values()].reduce((sum, part) => sum + partSize(part), 0);
  }
  return body?.size ?? body?.byteLength ?? 0;
};

const showNotice = (text) => {
  const notice = document.createElement("div");
  notice.setAttribute("role", "alert");
  notice.style.cssText =
    "position:fixed;inset:auto 0 24px;margin:auto;width:fit-content;max-width:min(36em,80vw);padding:12px 16px;" +
    "z-index:10000;border-radius:8px;background:#c82d4c;color:#fff;cursor:pointer;font:14px/1.4 sans-serif";
  notice.textContent = text;
  notice.addEventListener("click", () => notice.remove());
  document.body.append(notice);
  setTimeout(() => notice.remove(), 20000);
};

const send = window.fetch;
window.fetch = (resource, options) => {
  if (bodySize(options?.body) <= LARGEST) {
    return send.call(window, resource, options);
  }
  showNotice(TOO_LARGE);
  const answer = JSON.stringify({ error_code: "REQUEST_LIMIT_EXCEEDED", message: TOO_LARGE });
  const headers = { "Content-Type": "application/json" };
  return Promise.resolve(new Response(answer, { status: 413, headers }));
};

// On a phone MLflow's sidebar would leave the page a quarter of the screen: fold it, and again after each use.
const narrow = matchMedia("(max-width: 600px)");
const foldSidebar = () => {
  const toggle = document.querySelector('aside > div > button[aria-label="Toggle sidebar"]');
  if (toggle && toggle.closest("aside").offsetWidth > 100) {
    toggle.click();
  }
  return toggle;
};
if (narrow.matches) {
  const drawn = new MutationObserver(() => foldSidebar() && drawn.disconnect());
  drawn.observe(document, { childList: true, subtree: true });
}
document.addEventListener("click", ({ target }) => {
  if (narrow.matches && target instanceof Element && target.closest("aside a")) {
    setTimeout(foldSidebar);
  }
});
