// Keeps pages fresh and tells values under the pointer. Every page works without it.
"use strict";

// An incident's picture may have to be asked of history.
const EVERY_MS = location.pathname.startsWith("/incidents/") ? 30000 : 5000;

// Fresh pages: the same page is asked for again, and its parts that may change take the place of those shown. What has the
// focus, or a form that is being filled in, is left alone.
function isInUse(part) {
  const typed = [...part.querySelectorAll("input:not([type=hidden]), textarea")];
  return part.contains(document.activeElement) || typed.some((field) => field.value !== field.defaultValue);
}

function keepOpen(from, to) {
  const before = [...from.querySelectorAll("details")];
  [...to.querySelectorAll("details")].forEach((details, place) => {
    if (before[place] && before[place].open) details.open = true;
  });
}

// What each part was made of: scripts add to what is shown.
const shown = new WeakMap();

function replaceParts(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || isInUse(part)) continue;
    const markup = next.innerHTML;
    keepOpen(part, next);
    if (markup !== shown.get(part)) {
      shown.set(part, markup);
      part.replaceChildren(...[...next.childNodes].map((node) => document.importNode(node, true)));
    }
  }
  addCharts();
}

function tellFreshness(text) {
  const place = document.getElementById("freshness");
  if (place) place.textContent = text;
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
    if (!answer.ok) throw new Error(String(answer.status));
    replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
    tellFreshness("Fresh as of " + new Date().toISOString().slice(11, 19) + ".");
  } catch {
    tellFreshness("This page could not be refreshed: it is older than it looks.");
  }
}

// Values under the pointer, and with the arrow keys.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;

function nearest(points, at) {
  let best = null;
  for (const point of points) {
    if (best === null || Math.abs(point[0] - at) < Math.abs(best[0] - at)) best = point;
  }
  return best;
}

function tell(plot, data, at) {
  const found = nearest(data.lines.flatMap((line) => line.points), at);
  if (!found) return;
  const rows = [new Date(found[0]).toISOString().slice(0, 19).replace("T", " ")];
  for (const line of data.lines) {
    const point = line.points.find((one) => one[0] === found[0]);
    if (point) rows.push(line.name + ": " + point[1].toLocaleString("en", { maximumFractionDigits: 2 }));
  }
  tip.replaceChildren(...rows.map((row) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = row;
    return paragraph;
  }));
  tip.hidden = false;
  const part = data.left + ((found[0] - data.from) / Math.max(1, data.until - data.from)) * (data.right - data.left);
  plot.querySelector(".cursor").hidden = false;
  plot.querySelector(".cursor").style.left = part * 100 + "%";
  const box = plot.getBoundingClientRect();
  const left = window.scrollX + box.left + part * box.width + 12;
  const most = window.scrollX + document.documentElement.clientWidth - tip.offsetWidth - 4;
  tip.style.left = Math.max(4, Math.min(left, most)) + "px";
  tip.style.top = window.scrollY + box.top + 16 + "px";
  plot.dataset.at = found[0];
}

function hide(plot) {
  tip.hidden = true;
  plot.querySelector(".cursor").hidden = true;
}

function addChart(plot) {
  if (plot.dataset.ready) return;
  plot.dataset.ready = "yes";
  const cursor = document.createElement("div");
  cursor.className = "cursor";
  cursor.hidden = true;
  plot.append(cursor);
  const data = JSON.parse(plot.dataset.chart);
  const moments = [...new Set(data.lines.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    tell(plot, data, data.from + ((part - data.left) / (data.right - data.left)) * (data.until - data.from));
  });
  plot.addEventListener("pointerleave", () => hide(plot));
  plot.addEventListener("blur", () => hide(plot));
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || moments.length === 0) return;
    event.preventDefault();
    const place = moments.indexOf(Number(plot.dataset.at));
    const next = place < 0 ? moments.length - 1 : Math.max(0, Math.min(moments.length - 1, place + step));
    tell(plot, data, moments[next]);
  });
}

function addCharts() {
  document.querySelectorAll("[data-chart]").forEach(addChart);
}

document.body.append(tip);
addCharts();
if (document.querySelector("main [data-live]")) setInterval(refresh, EVERY_MS);
