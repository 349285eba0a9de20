// Subscribes this browser for push messages. What the browser gives is sent by an ordinary form.
"use strict";

(() => {
  const form = document.getElementById("subscribe");
  if (!form) return;
  const say = (what) => {
    for (const text of document.querySelectorAll("[data-push]")) text.hidden = text.dataset.push !== what;
    form.hidden = what !== "ready" && what !== "failed";
  };
  const bytes = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

  async function subscribe() {
    const worker = await navigator.serviceWorker.register("/push-worker.js");
    await navigator.serviceWorker.ready;
    const bound = { userVisibleOnly: true, applicationServerKey: form.dataset.key };
    let subscription;
    try {
      subscription = await worker.pushManager.subscribe(bound);
    } catch (error) {
      // It is bound to another broker's key, or to one that is gone.
      const old = await worker.pushManager.getSubscription();
      if (error.name !== "InvalidStateError" || !old) throw error;
      await old.unsubscribe();
      subscription = await worker.pushManager.subscribe(bound);
    }
    form.elements.endpoint.value = subscription.endpoint;
    form.elements.p256dh.value = bytes(subscription.getKey("p256dh"));
    form.elements.auth.value = bytes(subscription.getKey("auth"));
    form.submit();
  }

  if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) return say("impossible");
  if (Notification.permission === "denied") return say("denied");
  say("ready");
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    try {
      await subscribe();
    } catch {
      say(Notification.permission === "denied" ? "denied" : "failed");
    }
  });
})();
