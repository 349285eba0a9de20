// Shows the broker's push messages, also while no page is open.
"use strict";

self.addEventListener("push", (pushed) => {
  const { id, title, body, url } = pushed.data.json();
  // A repetition has the same id, and takes the place of the first.
  pushed.waitUntil(self.registration.showNotification(title, { body, tag: id, data: { url } }));
});

self.addEventListener("notificationclick", (clicked) => {
  clicked.notification.close();
  const { url } = clicked.notification.data;
  if (url) clicked.waitUntil(open(url));
});

// A page that is open there already is brought to the front.
async function open(url) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = pages.find((page) => page.url === url);
  return there ? there.focus() : self.clients.openWindow(url);
}
