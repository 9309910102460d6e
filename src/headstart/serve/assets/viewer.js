// The result of a photo: people drawn on it, and the 3D skeleton of one of them, to be turned.
// photo.js and space.js draw, numbers.js writes, hands.js listens. Runs once for the component: `element` is its root,
// `props.value` what the server sent, `trigger` tells the server.
// Camera axes as everywhere in Headstart: x right, y down, z away from the camera; millimetres.

const find = (selector) => element.querySelector(selector);
const photo = find(".hs-photo"), space = find(".hs-space");
const START = { yaw: -0.45, pitch: 0.22, zoom: 1 };
const VIEWS = { front: { yaw: 0, pitch: 0 }, side: { yaw: -Math.PI / 2, pitch: 0 }, top: { yaw: 0, pitch: 1.45 } };
const COLOURS = { right: [240, 138, 0], left: [30, 120, 255], middle: [53, 168, 82] };
const UNSURE = 0.2;  // joints below this confidence are white
const HINT = find(".hs-message p");
const EMPTY = "Choose a photo, take one with the camera, or try an example. The people in it appear here, with their joints on the "
  + "photo and in 3D.";
const TOUCH = window.matchMedia("(hover: none)");

let value = null, person = 0, view = { ...START }, picture = null, hovered = -1, drawn = null, spots = [];

function side(name) {
  return name.startsWith("right_") ? "right" : name.startsWith("left_") ? "left" : "middle";
}

function colour(name, shade = 1, alpha = 1) {
  const [r, g, b] = COLOURS[side(name)].map((part) => Math.min(Math.round(part * shade), 255));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

function isDark() {
  const [r, g, b] = (getComputedStyle(element).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  return r + g + b > 380;
}

function paper() { return isDark() ? "#17191c" : "#f6f6f3"; }

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
    if (!value || !photo.isConnected) return;
    element.style.setProperty("--hs-paper", paper());
    drawPhoto(...surface(photo));
    if (value.people.length) drawSpace(...surface(space));
    showJoint();
  });
}

function choose(number) {
  person = number; hovered = -1;
  showPeople(); showNumbers(); redraw();
}

// A box that is wrong leaves the result of the photo where it is.
function show() {
  const sent = props.value || null, failed = Boolean(sent && sent.error), stays = Boolean(failed && sent.boxes && value);
  if (!stays) value = failed ? null : sent;
  const message = find(".hs-message");
  message.hidden = Boolean(sent) && !failed;
  message.classList.toggle("hs-error", failed);
  HINT.textContent = failed ? sent.error : EMPTY;
  find(".hs-result").hidden = !value;
  if (value && !stays) showResult();
  if (sent) bringIntoView();
}

function showResult() {
  const count = value.people.length;
  drawn = null; setDrawing(false);
  find(".hs-note").textContent = value.note || "";
  find(".hs-people").replaceChildren(...(count > 1 ? value.people : []).map((_, number) => {
    const chip = document.createElement("button");
    chip.type = "button"; chip.textContent = `person ${number + 1}`;
    chip.addEventListener("click", () => choose(number));
    return chip;
  }));
  for (const part of [".hs-3d", ".hs-someone"]) find(part).hidden = !count;
  find(".hs-photo-frame").style.setProperty("--hs-ratio", Math.min(Math.max(value.width / value.height, 1), 2));
  picture = new Image();
  picture.onload = redraw;
  picture.src = value.photo;
  choose(0);
}

// On a phone the result lies below the fold.
function bringIntoView() {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (window.innerWidth < 700) element.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
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
  sheet.fillStyle = paper(); sheet.fillRect(0, 0, both.width, both.height);
  sheet.lineCap = sheet.lineJoin = "round";
  drawPhoto(sheet, size, size);
  sheet.setTransform(1, 0, 0, 1, size, 0);
  drawSpace(sheet, size, size);
  both.toBlob((blob) => save(blob, `${stem()}-pose.png`), "image/png");
  redraw();
});

// A file that the browser cannot show, broken or HEIC, would leave its sign for a broken picture.
for (const kind of ["error", "load"]) {
  document.addEventListener(kind, ({ target }) => {
    if (target.matches?.("#hs-photo img")) target.style.visibility = kind === "error" ? "hidden" : "";
  }, true);
}

// Gradio gives the buttons of its examples no names.
function nameExamples() {
  document.querySelectorAll("#hs-examples button").forEach((button) => {
    const source = button.querySelector("img")?.src || "", name = source.split("/").pop().replace(/\.[^.]*$/, "");
    if (name) button.setAttribute("aria-label", `Example: ${name}`);
  });
}

listenToSpace();
listenToPhoto();
new ResizeObserver(() => { nameExamples(); redraw(); }).observe(element);
new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
watch("value", show);
show();
