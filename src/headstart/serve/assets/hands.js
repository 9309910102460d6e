// Mouse, fingers and keys on both pictures; joined to viewer.js, which calls listenToSpace and listenToPhoto.

const REACH = { mouse: 18, touch: 30 };
const TAP = 6;  // px that a finger may move while it taps

const fingers = new Map();  // on the skeleton: where each is
let travelled = 0;  // px that they have moved
let corner = null, drawing = false;  // where a box on the photo began; whether a finger may draw one

function local(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function hover(places, [x, y], kind) {
  let best = -1, reach = REACH[kind] || REACH.mouse;
  places.forEach((place, joint) => {
    const away = Math.hypot(place.x - x, place.y - y);
    if (away < reach) { best = joint; reach = away; }
  });
  if (best !== hovered) { hovered = best; redraw(); }
}

function turn(yaw, pitch) {
  view.yaw += yaw; view.pitch = Math.min(Math.max(view.pitch + pitch, -1.5), 1.5); redraw();
}
function zoom(factor) { view.zoom = Math.min(Math.max(view.zoom * factor, 0.4), 4); redraw(); }

function apart() {
  const [one, other] = [...fingers.values()];
  return Math.hypot(one[0] - other[0], one[1] - other[1]);
}

// One finger or the mouse turns the skeleton, two fingers zoom.
function listenToSpace() {
  space.addEventListener("pointerdown", (event) => {
    if (!fingers.size) travelled = 0;
    fingers.set(event.pointerId, local(event)); space.setPointerCapture(event.pointerId);
  });
  space.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId), now = local(event);
    if (!before) { hover(spots, now, event.pointerType); return; }
    const gap = fingers.size > 1 ? apart() : 0;
    fingers.set(event.pointerId, now);
    travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (gap) zoom(apart() / gap);
    else turn((now[0] - before[0]) * 0.01, (now[1] - before[1]) * 0.01);
  });
  space.addEventListener("pointerup", (event) => {
    fingers.delete(event.pointerId);
    if (travelled < TAP) hover(spots, local(event), event.pointerType);
  });
  space.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  space.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * 0.0015)); }, { passive: false });
  space.addEventListener("dblclick", () => { view = { ...START }; redraw(); });
  space.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] }[event.key];
    if (way) turn(...way);
    else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.15 : 1 / 1.15);
    else return;
    event.preventDefault();
  });
  element.querySelectorAll("[data-view]").forEach((button) => button.addEventListener("click", () => {
    view = { ...START, ...VIEWS[button.dataset.view] }; redraw();
  }));
}

function setDrawing(on) {
  drawing = on;
  find(".hs-draw").setAttribute("aria-pressed", on);
  photo.style.touchAction = on ? "none" : "";
}

// The mouse draws a box at once. A finger scrolls the page, unless the button has been pressed.
function listenToPhoto() {
  find(".hs-draw").addEventListener("click", () => setDrawing(!drawing));
  photo.addEventListener("pointerdown", (event) => { corner = local(event); photo.setPointerCapture(event.pointerId); });
  photo.addEventListener("pointermove", (event) => {
    const now = local(event);
    if (!corner) { hover(jointsOnPhoto(), now, event.pointerType); return; }
    if (event.pointerType === "touch" && !drawing) return;
    const [x, y] = now;
    drawn = { x: Math.min(x, corner[0]), y: Math.min(y, corner[1]), w: Math.abs(x - corner[0]), h: Math.abs(y - corner[1]) };
    redraw();
  });
  photo.addEventListener("pointerup", (event) => {
    const own = drawn, start = corner;
    corner = drawn = null; redraw();
    if (own && own.w >= 12 && own.h >= 12) { setDrawing(false); sendBox(own); return; }
    if (!start) return;
    pick(start);
    hover(jointsOnPhoto(), start, event.pointerType);
  });
  photo.addEventListener("pointercancel", () => { corner = drawn = null; redraw(); });
}

function placed() {
  const box = photo.getBoundingClientRect();
  return placement(box.width, box.height);
}

function jointsOnPhoto() {
  const one = value.people[person], at = placed();
  return one ? value.joints.map((name) => ({ x: at.x(one.joints2d[name][0]), y: at.y(one.joints2d[name][1]) })) : [];
}

function sendBox(own) {
  const at = placed(), clip = (px, size) => Math.min(Math.max(px + 0.5, 0), size);
  const [left, right] = [own.x, own.x + own.w].map((x) => clip(at.px(x), value.width));
  const [top, bottom] = [own.y, own.y + own.h].map((y) => clip(at.py(y), value.height));
  if (right - left > 2 && bottom - top > 2) trigger("box", { box: [left, top, right - left, bottom - top].map((v) => Math.round(v * 10) / 10) });
}

// A click picks the smallest box under it.
function pick([x, y]) {
  const at = placed(), u = at.px(x) + 0.5, v = at.py(y) + 0.5;
  const hit = value.people.map((one, number) => ({ number, box: one.bbox }))
    .filter(({ box: [a, b, w, h] }) => u >= a && u <= a + w && v >= b && v <= b + h)
    .sort((one, other) => one.box[2] * one.box[3] - other.box[2] * other.box[3])[0];
  if (hit && hit.number !== person) choose(hit.number);
}
