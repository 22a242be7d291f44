// Keeps the page fresh, writes times as the reader's clock has them, tells days under the pointer. The page works without.
"use strict";

const EVERY_MS = 30000;
// A page that was made longer ago than this is not what is so now, whatever it says.
const OLD_MS = 600000;

const form = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
const clock = new Intl.DateTimeFormat("en-GB", form);
const note = document.getElementById("note");
const madeAt = (page) => page.querySelector("#made time")?.dateTime;
// How far the host's clock is ahead of this one's.
let aheadMs = 0;
// Only the page of what is so now has an age; a demo's is of another day, and has none.
const hasAge = () => document.querySelector("#made:not([data-replay])");
const ageMs = () => (hasAge() && Date.now() + aheadMs - Date.parse(madeAt(document))) || 0;
// Whether the line on top was made to say that nobody knows.
let doubted = false;

// What each part was made of: this script changes what is shown.
const source = new WeakMap();
const parts = (page) => [...page.querySelectorAll("[data-live]")];
// Components whose days are shown in words.
const inWords = new Set();

function settle(part) {
  source.set(part, part.innerHTML);
  for (const time of part.querySelectorAll("time")) {
    time.title = time.textContent;
    time.textContent = clock.format(new Date(time.dateTime));
  }
  for (const days of part.querySelectorAll(".days")) {
    days.tabIndex = 0;
    days.classList.toggle("words", inWords.has(days.id));
  }
}

function place(shown, fresh) {
  const focus = shown.contains(document.activeElement) ? document.activeElement : null;
  const same = focus && (focus.id ? "#" + CSS.escape(focus.id) : focus.matches("a") ? 'a[href="' + CSS.escape(focus.getAttribute("href")) + '"]' : focus.tagName);
  const open = [...shown.querySelectorAll("details")].map((details) => details.open);
  const next = document.importNode(fresh, true);
  shown.replaceWith(next);
  parts(document).filter((part) => next.contains(part)).forEach(settle);
  [...next.querySelectorAll("details")].forEach((details, at) => { details.open = Boolean(open[at]); });
  if (same) next.querySelector(same)?.focus({ preventScroll: true });
}

function show(fresh) {
  const names = (page) => parts(page).map((part) => part.id).join();
  if (names(fresh) !== names(document)) {
    place(document.getElementById("main"), fresh.getElementById("main"));
  }
  document.title = fresh.title;
  const look = document.querySelector(".truth");
  if (look) look.className = fresh.querySelector(".truth").className;
  for (const part of parts(document)) {
    const next = fresh.getElementById(part.id);
    if (next.innerHTML === source.get(part) && next.className === part.className) continue;
    if (part.getAttribute("role") !== "status") place(part, next);
    else {
      // It stays, so that it is read out.
      part.replaceChildren(...document.importNode(next, true).childNodes);
      settle(part);
    }
  }
}

function say(text) {
  if (note.textContent !== text) note.textContent = text;
}

// What was so long ago must not stand on top as what is so. The next fresh page puts its own line there.
function doubt() {
  const now = document.getElementById("now");
  if (doubted || !now) return;
  doubted = true;
  source.delete(now);
  const former = document.getElementById("truth");
  const line = former.cloneNode();
  const glyph = document.createElement("span");
  glyph.className = "glyph";
  glyph.ariaHidden = "true";
  glyph.textContent = "?";
  line.append(glyph, " Status unknown: this page is of " + clock.format(new Date(madeAt(document))));
  const then = document.createElement("p");
  former.querySelector(".glyph")?.remove();
  then.textContent = "It said then: " + former.textContent.trim();
  former.replaceWith(line, then);
  document.querySelector(".truth").className = "truth unknown";
  document.title = document.querySelector(".name").textContent + ": Status unknown";
}

async function refresh() {
  if (document.hidden) return;
  let trouble = "This page cannot be refreshed. It shows how things were when it was made.";
  try {
    const answer = await fetch(location.href.split("#")[0], { cache: "no-cache" });
    if (!answer.ok) throw new Error(String(answer.status));
    const date = Date.parse(answer.headers.get("date"));
    // A cache between gives the time it had the page at, and how long ago that was.
    if (date) aheadMs = date + 1000 * (Number(answer.headers.get("age")) || 0) - Date.now();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!doubted || madeAt(fresh) !== madeAt(document)) {
      show(fresh);
      doubted = false;
    }
    const words = "This page was made " + Math.round(ageMs() / 60000) + " minutes ago, and there is no newer one: how things are now is not known.";
    trouble = ageMs() > OLD_MS ? words : "";
  } catch {
    // Said below.
  }
  if (ageMs() > OLD_MS) doubt();
  say(trouble);
}

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;

function hide() {
  tip.hidden = true;
  document.querySelector(".at")?.classList.remove("at");
}

function tell(day) {
  hide();
  day.classList.add("at");
  tip.textContent = day.textContent;
  tip.hidden = false;
  const box = day.getBoundingClientRect();
  const most = document.documentElement.clientWidth - tip.offsetWidth - 4;
  tip.style.left = scrollX + Math.max(4, Math.min(box.left, most)) + "px";
  tip.style.top = scrollY + box.top - tip.offsetHeight - 6 + "px";
}

const dayOf = (event) => event.target.closest?.(".days:not(.words, :target) > li");

document.addEventListener("pointerover", (event) => {
  const day = dayOf(event);
  if (day) tell(day);
  else hide();
});
document.addEventListener("focusout", hide);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
  const days = event.target.closest?.(".days:not(.words, :target)");
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!days || !step) return;
  event.preventDefault();
  const at = [...days.children].findIndex((day) => day.classList.contains("at"));
  tell(days.children[at < 0 ? days.children.length - 1 : Math.max(0, Math.min(days.children.length - 1, at + step))]);
});
// The links work without this; then the address says which days are in words, and a fresh part would not know.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".scale a");
  if (!link) return;
  event.preventDefault();
  const card = link.closest("article");
  const days = card.querySelector(".days");
  const words = link.classList.contains("more");
  if (words) inWords.add(days.id);
  else inWords.delete(days.id);
  hide();
  days.classList.toggle("words", words);
  card.querySelector(words ? ".less" : ".more").focus();
});

document.body.append(tip);
parts(document).forEach(settle);
document.getElementById("zone").textContent = "Times are those of your clock (" + clock.resolvedOptions().timeZone + ").";
setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
if (ageMs() > OLD_MS) refresh();
