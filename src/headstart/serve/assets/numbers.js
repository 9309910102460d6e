// The chosen person in words and numbers; joined to viewer.js.

function spoken(name) { return name.replaceAll("_", " "); }

function showJoint() {
  const one = value.people[person], line = find(".hs-joint");
  if (!one || hovered < 0) { line.textContent = one ? `${TOUCH.matches ? "Tap" : "Point at"} a joint to read it.` : ""; return; }
  const name = value.joints[hovered], [u, v, confidence] = one.joints2d[name], mm = one.joints3d_mm[name].map(Math.round);
  line.textContent = `${spoken(name)}: pixel ${u.toFixed(1)}, ${v.toFixed(1)}; confidence ${confidence.toFixed(2)}; `
    + `${mm[0]} right, ${mm[1]} down, ${mm[2]} away (mm from the pelvis)`;
}

// How many there are and who is chosen: above the pictures, in their captions and for screen readers.
function showPeople() {
  const count = value.people.length, who = count > 1 ? `person ${person + 1}` : "";
  find(".hs-found").textContent = count === 1 ? "1 person." : count ? `${count} people.` : "";
  find(".hs-who").textContent = who && `: ${who}`;
  [...find(".hs-people").children].forEach((chip, number) => chip.setAttribute("aria-pressed", number === person));
  const chosen = who && `; ${who} is chosen`, drawn = count ? "a box, joints and bones on each" : "nothing is drawn on it";
  photo.setAttribute("aria-label", `The photo with ${count === 1 ? "1 person" : `${count} people`}: ${drawn}${chosen}`);
  space.setAttribute("aria-label", `The 3D skeleton${who && ` of ${who}`}; arrow keys turn it, plus and minus zoom`);
}

function showNumbers() {
  const one = value.people[person];
  if (!one) return;
  find(".hs-height").textContent = Math.round(one.height_mm).toLocaleString("en");
  find(".hs-numbers tbody").replaceChildren(...value.joints.map((name) => {
    const [u, v, confidence] = one.joints2d[name], row = document.createElement("tr"), head = document.createElement("th");
    head.scope = "row"; head.textContent = spoken(name);
    row.append(head, ...[u.toFixed(1), v.toFixed(1), confidence.toFixed(2), ...one.joints3d_mm[name].map(Math.round)].map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }));
    return row;
  }));
}
