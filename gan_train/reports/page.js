// Shows one sample sheet at a time: the slider, the arrow keys on it, and play.
const sheets = [...document.querySelectorAll("[data-sheet]")];
const slider = document.querySelector("#when");
const said = document.querySelector("#said");
const play = document.querySelector("#play");
let timer = null;
function show(index) {
  sheets.forEach((sheet, place) => { sheet.hidden = place !== index; });
  slider.value = index;
  said.textContent = sheets[index].alt;
}
function stop() {
  clearInterval(timer);
  timer = null;
  play.textContent = "Play";
}
if (slider) {
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    play.textContent = "Stop";
    let index = Number(slider.value) === sheets.length - 1 ? 0 : Number(slider.value);
    show(index);
    timer = setInterval(() => {
      index += 1;
      show(index);
      if (index === sheets.length - 1) { stop(); }
    }, 350);
  });
}
