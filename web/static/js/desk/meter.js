// The microphone: which one, and how loud it is.

import { at, say } from "./page.js";

const LOUD = 0.01;
const LONG_ENOUGH = 6;  // looks of 50 ms
const KEPT = "desk-microphone";

export function wishes() {
  const clean = at("mic-clean").checked;
  const device = at("mic-device").value;
  return {
    audio: {
      echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean,
      ...(device ? { deviceId: { exact: device } } : {}),
    },
  };
}

export function keepWishes() {
  const kept = { device: at("mic-device").value, clean: at("mic-clean").checked };
  localStorage.setItem(KEPT, JSON.stringify(kept));
}

export async function listMicrophones() {
  const list = at("mic-device");
  const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  if (kept.clean !== undefined) at("mic-clean").checked = kept.clean;
  const chosen = list.value || kept.device;
  const devices = await navigator.mediaDevices?.enumerateDevices() ?? [];
  const named = devices.filter((one) => one.kind === "audioinput" && one.deviceId && one.label);
  list.replaceChildren(
    list.options[0], ...named.map((one) => new Option(one.label, one.deviceId)),
  );
  if (named.some((one) => one.deviceId === chosen)) list.value = chosen;
}

export class Meter {
  // ``passed``: called once the reader was heard.
  constructor(passed) {
    this.passed = passed;
    this.stream = null;
  }

  async check() {
    this.stop();
    if (!navigator.mediaDevices) return this.tell("mic_denied");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia(wishes());
    } catch (error) {
      return this.tell(error.name === "NotFoundError" ? "mic_none" : "mic_denied");
    }
    this.tell("mic_quiet");
    await listMicrophones();
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 1024;
    this.context.createMediaStreamSource(this.stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let loud = 0;
    this.looking = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length;
      const level = Math.sqrt(power);
      at("mic-level").value = Math.min(1, level * 4);
      loud = level > LOUD ? loud + 1 : loud;
      if (loud === LONG_ENOUGH) {
        loud += 1;
        this.tell("mic_good");
        this.passed();
      }
    }, 50);
  }

  tell(what) {
    const said = at("mic-said");
    said.textContent = say(what);
    said.classList.toggle("bad", what === "mic_denied" || what === "mic_none");
  }

  stop() {
    clearInterval(this.looking);
    this.context?.close();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.context = null;
    at("mic-level").value = 0;
  }
}
