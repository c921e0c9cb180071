// A call that has to be taken: a tone, and a notice of the desktop without anybody's name.

import { say } from "./page.js";

const HERTZ = 425;
const ON_MS = 1000;
const EVERY_MS = 3000;

let context = null;
let every = null;
let notice = null;
let sounding = null;

function tone() {
  context ??= new AudioContext();
  context.resume();
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  oscillator.frequency.value = HERTZ;
  gain.gain.value = 0.15;
  oscillator.connect(gain).connect(context.destination);
  oscillator.start();
  oscillator.stop(context.currentTime + ON_MS / 1000);
  sounding = oscillator;
}

export const testTone = tone;

export function ring(kind) {
  quiet();
  tone();
  every = setInterval(tone, EVERY_MS);
  if ("Notification" in window && Notification.permission === "granted") {
    notice = new Notification(say("incoming", { kind }), { tag: "call", requireInteraction: true });
    notice.onclick = () => window.focus();
  }
}

export function quiet() {
  clearInterval(every);
  notice?.close();
  sounding?.stop();
  every = notice = sounding = null;
}

export async function mayNotify() {
  return "Notification" in window && (await Notification.requestPermission()) === "granted";
}
