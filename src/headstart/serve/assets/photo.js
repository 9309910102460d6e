// The photo with its people; joined to viewer.js.

// The photo as large as it fits: pixel centres are integers, so the photo spans -0.5 ... width - 0.5.
function placement(width, height) {
  const scale = Math.min(width / value.width, height / value.height);
  const left = (width - value.width * scale) / 2, top = (height - value.height * scale) / 2;
  return { scale, x: (px) => left + (px + 0.5) * scale, y: (px) => top + (px + 0.5) * scale,
           px: (x) => (x - left) / scale - 0.5, py: (y) => (y - top) / scale - 0.5, left, top };
}

function drawPhoto(pen, width, height) {
  const at = placement(width, height);
  if (picture) pen.drawImage(picture, at.left, at.top, value.width * at.scale, value.height * at.scale);
  value.people.forEach((one, number) => drawPerson(pen, at, one, number));
  if (drawn) {
    pen.setLineDash([6, 4]); pen.lineWidth = 2; pen.strokeStyle = "#fff";
    pen.strokeRect(drawn.x, drawn.y, drawn.w, drawn.h); pen.setLineDash([]);
  }
}

function drawPerson(pen, at, one, number) {
  const chosen = number === person, names = value.joints;
  const [x, y, w, h] = one.bbox, spread = Math.max(w, h) * at.scale;
  const thick = Math.min(Math.max(spread / 90, 1.6), 6);
  pen.globalAlpha = chosen ? 1 : 0.65;
  for (const [style, wide] of [["rgba(0,0,0,0.55)", 3.5], ["#fff", 1.5]]) {
    pen.strokeStyle = style; pen.lineWidth = wide;
    pen.strokeRect(at.x(x - 0.5), at.y(y - 0.5), w * at.scale, h * at.scale);
  }
  if (value.people.length > 1) {
    pen.font = "600 13px system-ui, sans-serif"; pen.lineWidth = 3; pen.strokeStyle = "rgba(0,0,0,0.7)"; pen.fillStyle = "#fff";
    const place = [at.x(Math.max(x, 0)) + 5, at.y(Math.max(y, 0)) + 15];
    pen.strokeText(number + 1, ...place); pen.fillText(number + 1, ...place);
  }
  const points = names.map((name) => one.joints2d[name]);
  const line = ([from, to], style, wide) => {
    pen.strokeStyle = style; pen.lineWidth = wide; pen.beginPath();
    pen.moveTo(at.x(points[from][0]), at.y(points[from][1]));
    pen.lineTo(at.x(points[to][0]), at.y(points[to][1])); pen.stroke();
  };
  value.bones.forEach((bone) => line(bone, "rgba(0,0,0,0.6)", thick + 2));
  value.bones.forEach((bone) => line(bone, colour(names[bone[1]]), thick));
  names.forEach((name, joint) => {
    const [u, v, confidence] = points[joint], big = chosen && joint === hovered;
    pen.beginPath(); pen.arc(at.x(u), at.y(v), thick * (big ? 1.9 : 1.05) + 1, 0, 7);
    pen.fillStyle = confidence < 0.2 ? "rgba(255,255,255,0.9)" : colour(name); pen.fill();
    pen.lineWidth = big ? 2 : 1; pen.strokeStyle = big ? "#fff" : "rgba(0,0,0,0.7)"; pen.stroke();
  });
  pen.globalAlpha = 1;
}
