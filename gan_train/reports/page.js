// Pictures that are looked at one at a time: a slider, the arrow keys, and play.
for (const player of document.querySelectorAll(".player")) {
  const slider = player.querySelector("input");
  const said = player.querySelector("output");
  const button = player.querySelector("button");
  const frames = [...player.querySelectorAll("[data-frame]")];
  const strip = player.querySelector("[data-strip]");
  const captions = JSON.parse(player.dataset.captions);
  const last = captions.length - 1;
  let timer = null;
  const show = (index) => {
    frames.forEach((frame, place) => { frame.hidden = place !== index; });
    if (strip) { strip.style.transform = `translateY(${-100 * index / captions.length}%)`; }
    slider.value = index;
    slider.setAttribute("aria-valuetext", captions[index]);
    said.textContent = captions[index];
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
    said.setAttribute("aria-live", "polite");
  };
  const start = () => {
    button.textContent = "Stop";
    said.setAttribute("aria-live", "off");
    show(Number(slider.value) === last ? 0 : Number(slider.value));
    timer = setInterval(() => {
      const index = Number(slider.value);
      // A strip is a closed walk and goes round; sheets end with the newest.
      if (index < last) { show(index + 1); } else if (strip) { show(0); } else { stop(); }
    }, Number(player.dataset.wait));
  };
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  button.addEventListener("click", () => { if (timer) { stop(); } else { start(); } });
  player.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way || event.target === slider) { return; }
    event.preventDefault();
    stop();
    show(Math.min(last, Math.max(0, Number(slider.value) + way)));
  });
}

// Charts that tell their values under the pointer, a finger or the arrow keys.
const short = (value) => {
  const size = Math.abs(value);
  if (size > 0 && size < 0.00995) { return value.toExponential(2).replace(/\.?0*e/, "e"); }
  if (size >= 1e6 && size < 1e9) { return `${Number((value / 1e6).toPrecision(3))}M`; }
  if (size >= 1e4 && size < 1e6) { return `${Number((value / 1e3).toPrecision(3))}k`; }
  return size >= 1e3 && size < 1e4 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
};
for (const chart of document.querySelectorAll(".chart")) {
  const [left, right, bottom, top, end, low, high, logarithmic] = chart.dataset.scale.split(" ").map(Number);
  const svg = chart.querySelector("svg");
  const outputs = [...chart.querySelectorAll("output")];
  const usual = outputs.map((output) => output.textContent);
  const lines = [...chart.querySelectorAll("polyline")].map(
    (line) => line.getAttribute("points").split(" ").map((point) => point.split(",").map(Number)));
  const drawn = (kind) => document.createElementNS(svg.namespaceURI, kind);
  const cursor = drawn("g");
  const upright = cursor.appendChild(drawn("line"));
  const axis = svg.querySelector(".axis");
  cursor.setAttribute("class", "cursor");
  let place = right;
  const near = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
  const tell = (x) => {
    place = near(lines[0], Math.min(right, Math.max(left, x)))[0];
    lines.forEach((points, index) => {
      const value = low + (high - low) * (bottom - near(points, place)[1]) / (bottom - top);
      outputs[index].textContent = short(logarithmic ? 10 ** value : value);
    });
    for (const [name, value] of Object.entries({ x1: place, x2: place, y1: top, y2: bottom })) {
      upright.setAttribute(name, value);
    }
    axis.textContent = `${short(end * (place - left) / (right - left))} images seen`;
    svg.append(cursor);
  };
  const leave = () => {
    outputs.forEach((output, index) => { output.textContent = usual[index]; });
    axis.textContent = "images seen";
    cursor.remove();
  };
  const point = (event) => {
    const box = svg.getBoundingClientRect();
    tell((event.clientX - box.left) * svg.viewBox.baseVal.width / box.width);
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { leave(); } });
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way) { return; }
    event.preventDefault();
    const points = lines[0];
    const index = points.findIndex((one) => one[0] === near(points, place)[0]);
    tell(points[Math.min(points.length - 1, Math.max(0, index + way))][0]);
  });
}
