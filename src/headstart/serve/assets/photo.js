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
  // The chosen person lies on top of the others.
  value.people.forEach((one, number) => { if (number !== person) drawPerson(pen, at, one, number); });
  if (value.people.length) drawPerson(pen, at, value.people[person], person);
  if (drawn) {
    pen.setLineDash([6, 4]); pen.lineWidth = 2; pen.strokeStyle = "#fff";
    pen.strokeRect(drawn.x, drawn.y, drawn.w, drawn.h); pen.setLineDash([]);
  }
}

function drawPerson(pen, at, one, number) {
  const chosen = number === person, names = value.joints;
  const spread = Math.max(one.bbox[2], one.bbox[3]) * at.scale;
  const thick = Math.min(Math.max(spread / 90, 1.6), 6);
  pen.globalAlpha = chosen ? 1 : 0.65;
  drawBox(pen, at, one.bbox, chosen && value.people.length > 1);
  const points = names.map((name) => one.joints2d[name]);
  const sure = points.map(([, , confidence]) => confidence >= UNSURE);
  const line = ([from, to], style, wide) => {
    pen.strokeStyle = style; pen.lineWidth = wide; pen.beginPath();
    pen.moveTo(at.x(points[from][0]), at.y(points[from][1]));
    pen.lineTo(at.x(points[to][0]), at.y(points[to][1])); pen.stroke();
  };
  const width = ([from, to]) => sure[from] && sure[to] ? thick : thick / 2;
  value.bones.forEach((bone) => line(bone, "rgba(0,0,0,0.6)", width(bone) + 2));
  value.bones.forEach((bone) => line(bone, colour(names[bone[1]]), width(bone)));
  names.forEach((name, joint) => {
    const [u, v] = points[joint], big = chosen && joint === hovered;
    pen.beginPath(); pen.arc(at.x(u), at.y(v), thick * (big ? 1.9 : 1.05) + 1, 0, 7);
    pen.fillStyle = sure[joint] ? colour(name) : "rgba(255,255,255,0.9)"; pen.fill();
    pen.lineWidth = big ? 2 : 1; pen.strokeStyle = big ? "#fff" : "rgba(0,0,0,0.7)"; pen.stroke();
  });
  pen.globalAlpha = 1;
  if (value.people.length > 1) drawNumber(pen, at, one.bbox, number, chosen);
}

// Boxes may reach beyond the photo; their lines stay within it.
function drawBox(pen, at, [x, y, w, h], strong) {
  pen.save();
  pen.beginPath(); pen.rect(at.left, at.top, value.width * at.scale, value.height * at.scale); pen.clip();
  for (const [style, wide] of [["rgba(0,0,0,0.55)", strong ? 5 : 3.5], ["#fff", strong ? 2.5 : 1.5]]) {
    pen.strokeStyle = style; pen.lineWidth = wide;
    pen.strokeRect(at.x(x - 0.5), at.y(y - 0.5), w * at.scale, h * at.scale);
  }
  pen.restore();
}

// The number of a person in the corner of the box; that of the chosen one is dark on white.
function drawNumber(pen, at, [x, y], number, chosen) {
  const size = 20, left = at.x(Math.max(x, 0) - 0.5), top = at.y(Math.max(y, 0) - 0.5);
  pen.fillStyle = chosen ? "#fff" : "rgba(0,0,0,0.75)"; pen.fillRect(left, top, size, size);
  pen.font = "600 14px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
  pen.fillStyle = chosen ? "#111" : "#fff"; pen.fillText(number + 1, left + size / 2, top + size / 2 + 1);
}
