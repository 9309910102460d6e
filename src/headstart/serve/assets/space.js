// The skeleton of the chosen person in space; joined to viewer.js.

function pose() {
  const points = value.joints.map((name) => value.people[person].joints3d_mm[name]);
  const low = [0, 1, 2].map((axis) => Math.min(...points.map((point) => point[axis])));
  const high = [0, 1, 2].map((axis) => Math.max(...points.map((point) => point[axis])));
  const middle = low.map((least, axis) => (least + high[axis]) / 2);
  const reach = Math.max(...points.map((p) => Math.hypot(p[0] - middle[0], p[1] - middle[1], p[2] - middle[2])), 300);
  return { points, middle, reach, floor: high[1] + 40 };
}

// Turn about the vertical through the middle, tip, then a mild perspective.
function projector(width, height, { middle, reach }) {
  const cosYaw = Math.cos(view.yaw), sinYaw = Math.sin(view.yaw), cosTip = Math.cos(view.pitch), sinTip = Math.sin(view.pitch);
  const scale = Math.min(width, height) * 0.43 / reach * view.zoom, distance = 6 * reach;
  return ([x, y, z]) => {
    const a = x - middle[0], b = y - middle[1], c = z - middle[2];
    const across = a * cosYaw - c * sinYaw, away = a * sinYaw + c * cosYaw;
    const down = b * cosTip - away * sinTip, depth = away * cosTip + b * sinTip;
    const near = distance / (distance + depth);
    return { x: width / 2 + across * scale * near, y: height / 2 + down * scale * near, depth, near: near * view.zoom };
  };
}

function drawSpace(pen, width, height) {
  const dark = isDark(), shape = pose(), to = projector(width, height, shape);
  drawGround(pen, to, shape, dark);
  const flat = shape.points.map(to), names = value.joints;
  const sure = names.map((name) => value.people[person].joints2d[name][2] >= UNSURE);
  spots = flat;
  const thick = Math.min(width, height) / 55;
  const far = Math.max(...flat.map((p) => p.depth)), close = Math.min(...flat.map((p) => p.depth));
  // Farther is darker; every limb keeps a contrast of 3 to 1 with the paper.
  const [nearest, fall] = dark ? [1.1, 0.25] : [0.87, 0.24];
  const shade = (depth) => nearest - fall * (depth - close) / Math.max(far - close, 200);
  const parts = value.bones.map(([from, end]) => ({ depth: (flat[from].depth + flat[end].depth) / 2, draw: () => {
    const p = flat[from], q = flat[end], tint = (point, name) => colour(name, shade(point.depth));
    const blend = pen.createLinearGradient(p.x, p.y, q.x, q.y);
    blend.addColorStop(0, tint(p, names[end])); blend.addColorStop(1, tint(q, names[end]));
    const stroke = (style, wide, cap) => {
      pen.strokeStyle = style; pen.lineWidth = wide; pen.lineCap = cap;
      pen.beginPath(); pen.moveTo(p.x, p.y); pen.lineTo(q.x, q.y); pen.stroke();
    };
    const wide = thick * (p.near + q.near) / (sure[from] && sure[end] ? 2 : 4);
    // A rim in the colour of the paper parts limbs that cross; it must not eat into the joints.
    stroke(paper(), wide + 4, "butt"); stroke(blend, wide, "round");
  } }));
  flat.forEach((p, joint) => parts.push({ depth: p.depth - 200, draw: () => {
    const radius = thick * 0.78 * p.near * (joint === hovered ? 1.6 : 1);
    const glow = pen.createRadialGradient(p.x - radius / 3, p.y - radius / 3, radius / 6, p.x, p.y, radius);
    glow.addColorStop(0, colour(names[joint], shade(p.depth) * 1.25)); glow.addColorStop(1, colour(names[joint], shade(p.depth) * 0.82));
    pen.beginPath(); pen.arc(p.x, p.y, radius, 0, 7); pen.fillStyle = sure[joint] ? glow : "#fff"; pen.fill();
    if (!sure[joint]) { pen.lineWidth = 1.5; pen.strokeStyle = "#1e1e28"; pen.stroke(); }
    if (joint === hovered) { pen.lineWidth = 2; pen.strokeStyle = dark ? "#fff" : "#222"; pen.stroke(); }
  } }));
  parts.sort((one, other) => other.depth - one.depth).forEach((part) => part.draw());
}

// A level grid of 500 mm under the lowest joint, fading outwards, with the skeleton's shadow.
function drawGround(pen, to, { points, middle, reach, floor }, dark) {
  const cell = 500, count = Math.ceil(reach * 1.25 / cell), ink = dark ? "255, 255, 255" : "30, 30, 40";
  const snap = (mm) => Math.round(mm / cell) * cell, cx = snap(middle[0]), cz = snap(middle[2]), rim = count * cell;
  pen.lineWidth = 1;
  for (let step = -count; step <= count; step++) {
    pen.strokeStyle = `rgba(${ink}, ${0.2 * (1 - 0.75 * Math.abs(step) / count)})`;
    for (const ends of [[[cx + step * cell, floor, cz - rim], [cx + step * cell, floor, cz + rim]],
                        [[cx - rim, floor, cz + step * cell], [cx + rim, floor, cz + step * cell]]]) {
      const [p, q] = ends.map(to);
      pen.beginPath(); pen.moveTo(p.x, p.y); pen.lineTo(q.x, q.y); pen.stroke();
    }
  }
  if (view.pitch < -0.05) return;
  pen.strokeStyle = `rgba(${dark ? "0, 0, 0" : ink}, ${dark ? 0.5 : 0.13})`; pen.lineWidth = 5 * view.zoom;
  pen.beginPath();
  for (const [from, end] of value.bones) {
    const p = to([points[from][0], floor, points[from][2]]), q = to([points[end][0], floor, points[end][2]]);
    pen.moveTo(p.x, p.y); pen.lineTo(q.x, q.y);
  }
  pen.stroke();
}
