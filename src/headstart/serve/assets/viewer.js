// The result of a photo: people drawn on it, and the 3D skeleton of one of them, to be turned.
// photo.js and space.js draw. Runs once for the component: `element` is its root, `props.value` what the server sent, `trigger` tells the server.
// Camera axes as everywhere in Headstart: x right, y down, z away from the camera; millimetres.

const find = (selector) => element.querySelector(selector);
const photo = find(".hs-photo"), space = find(".hs-space");
const START = { yaw: -0.45, pitch: 0.22, zoom: 1 };
const VIEWS = { front: { yaw: 0, pitch: 0 }, side: { yaw: -Math.PI / 2, pitch: 0 }, top: { yaw: 0, pitch: 1.45 } };
const COLOURS = { right: [240, 138, 0], left: [30, 120, 255], middle: [53, 168, 82] };
const HINT = find(".hs-message p");
const EMPTY = "Drop a photo, take one with the camera, or click an example. "
  + "Joints in pixels and millimetres appear here, and the skeleton in 3D.";

let value = null, person = 0, view = { ...START }, picture = null, hovered = -1, drawn = null, spots = [];

function side(name) {
  return name.startsWith("right_") ? "right" : name.startsWith("left_") ? "left" : "middle";
}

function colour(name, shade = 1, alpha = 1) {
  const [r, g, b] = COLOURS[side(name)].map((part) => Math.round(part * shade));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

function isDark() {
  const [r, g, b] = (getComputedStyle(element).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  return r + g + b > 380;
}

// A canvas whose units are CSS pixels, as sharp as the screen.
function surface(canvas) {
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  pen.lineCap = pen.lineJoin = "round";
  return [pen, box.width, box.height];
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!value || value.error || !photo.isConnected) return;
    drawPhoto(...surface(photo));
    if (value.people.length) drawSpace(...surface(space)); else surface(space);
    showJoint();
  });
}

function showJoint() {
  const one = value.people[person], line = find(".hs-joint");
  if (!one || hovered < 0) { line.textContent = one ? "Point at a joint to read it." : ""; return; }
  const name = value.joints[hovered], [u, v, confidence] = one.joints2d[name], mm = one.joints3d_mm[name].map(Math.round);
  line.textContent = `${name.replace("_", " ")}: pixel ${u.toFixed(1)}, ${v.toFixed(1)}; confidence ${confidence.toFixed(2)}; `
    + `${mm[0]} right, ${mm[1]} down, ${mm[2]} away (mm from the pelvis)`;
}

function choose(number) {
  person = number; hovered = -1;
  [...find(".hs-people").children].forEach((chip, n) => chip.setAttribute("aria-pressed", n === number));
  redraw();
}

function show() {
  value = props.value || null;
  const message = find(".hs-message"), failed = Boolean(value && value.error);
  message.hidden = Boolean(value) && !failed;
  message.classList.toggle("hs-error", failed);
  HINT.textContent = failed ? value.error : EMPTY;
  find(".hs-result").hidden = !value || failed;
  if (!value || failed) return;
  person = 0; hovered = -1; drawn = null;
  find(".hs-note").textContent = value.note || "";
  find(".hs-people").replaceChildren(...(value.people.length > 1 ? value.people : []).map((_, number) => {
    const chip = document.createElement("button");
    chip.type = "button"; chip.textContent = `person ${number + 1}`;
    chip.addEventListener("click", () => choose(number));
    return chip;
  }));
  picture = new Image();
  picture.onload = redraw;
  picture.src = value.photo;
  choose(0);
  // On a phone the result lies below the fold.
  if (window.innerWidth < 700) element.scrollIntoView({ behavior: "smooth", block: "start" });
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob); link.download = name; link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function stem() { return (value.name || "photo").replace(/\.[^.]*$/, "") || "photo"; }

find(".hs-json").addEventListener("click", () => {
  save(new Blob([JSON.stringify(value.people, null, 1)], { type: "application/json" }), `${stem()}-pose.json`);
});

find(".hs-png").addEventListener("click", () => {
  const both = document.createElement("canvas"), size = 900, sheet = both.getContext("2d");
  both.width = 2 * size; both.height = size;
  sheet.fillStyle = isDark() ? "#17191c" : "#f6f6f3"; sheet.fillRect(0, 0, both.width, both.height);
  sheet.lineCap = sheet.lineJoin = "round";
  drawPhoto(sheet, size, size);
  sheet.setTransform(1, 0, 0, 1, size, 0);
  if (value.people.length) drawSpace(sheet, size, size);
  both.toBlob((blob) => save(blob, `${stem()}-pose.png`), "image/png");
  redraw();
});

function local(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function hover(places, [x, y]) {
  let best = -1, reach = 18;
  places.forEach((place, joint) => {
    const away = Math.hypot(place.x - x, place.y - y);
    if (away < reach) { best = joint; reach = away; }
  });
  if (best !== hovered) { hovered = best; redraw(); }
}

let turning = null;
space.addEventListener("pointerdown", (event) => { turning = local(event); space.setPointerCapture(event.pointerId); });
space.addEventListener("pointermove", (event) => {
  const now = local(event);
  if (!turning) { hover(spots, now); return; }
  view.yaw += (now[0] - turning[0]) * 0.01;
  view.pitch = Math.min(Math.max(view.pitch + (now[1] - turning[1]) * 0.01, -1.5), 1.5);
  turning = now; redraw();
});
for (const end of ["pointerup", "pointercancel"]) space.addEventListener(end, () => { turning = null; });
space.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * 0.0015)); }, { passive: false });
space.addEventListener("dblclick", () => { view = { ...START }; redraw(); });
space.addEventListener("keydown", (event) => {
  const turn = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] }[event.key];
  if (turn) { view.yaw += turn[0]; view.pitch = Math.min(Math.max(view.pitch + turn[1], -1.5), 1.5); redraw(); }
  else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.15 : 1 / 1.15);
  else return;
  event.preventDefault();
});
function zoom(factor) { view.zoom = Math.min(Math.max(view.zoom * factor, 0.4), 4); redraw(); }
element.querySelectorAll("[data-view]").forEach((button) => button.addEventListener("click", () => {
  view = { ...START, ...VIEWS[button.dataset.view] }; redraw();
}));

let corner = null;
photo.addEventListener("pointerdown", (event) => { corner = local(event); photo.setPointerCapture(event.pointerId); });
photo.addEventListener("pointermove", (event) => {
  const [x, y] = local(event), box = photo.getBoundingClientRect(), at = placement(box.width, box.height);
  if (!corner) {
    const one = value.people[person];
    if (one) hover(value.joints.map((name) => ({ x: at.x(one.joints2d[name][0]), y: at.y(one.joints2d[name][1]) })), [x, y]);
    return;
  }
  drawn = { x: Math.min(x, corner[0]), y: Math.min(y, corner[1]), w: Math.abs(x - corner[0]), h: Math.abs(y - corner[1]) };
  redraw();
});
photo.addEventListener("pointerup", () => {
  const box = photo.getBoundingClientRect(), at = placement(box.width, box.height), own = drawn, start = corner;
  corner = drawn = null; redraw();
  if (!own || own.w < 12 || own.h < 12) { if (start) pick(at, start); return; }
  const clip = (px, size) => Math.min(Math.max(px + 0.5, 0), size);
  const [left, right] = [own.x, own.x + own.w].map((x) => clip(at.px(x), value.width));
  const [top, bottom] = [own.y, own.y + own.h].map((y) => clip(at.py(y), value.height));
  if (right - left > 2 && bottom - top > 2) trigger("box", { box: [left, top, right - left, bottom - top].map((v) => Math.round(v * 10) / 10) });
});
photo.addEventListener("pointercancel", () => { corner = drawn = null; redraw(); });

// A click picks the smallest box under it.
function pick(at, [x, y]) {
  const u = at.px(x) + 0.5, v = at.py(y) + 0.5;
  const hit = value.people.map((one, number) => ({ number, box: one.bbox }))
    .filter(({ box: [a, b, w, h] }) => u >= a && u <= a + w && v >= b && v <= b + h)
    .sort((one, other) => one.box[2] * one.box[3] - other.box[2] * other.box[3])[0];
  if (hit) choose(hit.number);
}

new ResizeObserver(redraw).observe(element);
new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
watch("value", show);
show();
