// Counts down what the server wrote as `in 12 min`, in the same words (services/api/pages/words.py).
const TICK_MS = 1_000;

function two(large, largeUnit, small, smallUnit) {
  return small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;
}

function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return two(Math.floor(whole / 3_600), "h", Math.floor((whole % 3_600) / 60), "min");
  return two(Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3_600), "h");
}

function tick() {
  for (const time of document.querySelectorAll("time[data-countdown]")) {
    const away = (Date.parse(time.dateTime) - Date.now()) / 1_000;
    const words = Math.abs(away) < 1 ? "now" : away > 0 ? `in ${duration(away)}` : `${duration(-away)} ago`;
    if (time.textContent !== words) time.textContent = words;
  }
}

export function countdowns() {
  setInterval(() => { if (!document.hidden) tick(); }, TICK_MS);
}
