// Looks on from within an agent's page, and changes nothing of what it does: what it shows, what is
// heard in it, whether it rings and shows notices. Runs before any of its scripts.
"use strict";
globalThis.hooks = (() => {
  const FLOOR_DB = -50;  // a tone that is there is far above, one that is not far below
  const KEYS = [697, 770, 852, 941, 1209, 1336, 1477];
  const SIZE = 8192;
  const microphones = [];
  const texts = new Set();
  const told = { notices: [], asked: 0, keys: -Infinity, rang: 0, states: [] };

  const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (open) {
    navigator.mediaDevices.getUserMedia = async (wish) => {
      const stream = await open(wish);
      microphones.push(stream);
      return stream;
    };
  }

  // --- what is heard --------------------------------------------------------------------------

  let ears = null;  // of the stream that is played now

  function listen() {
    const stream = document.getElementById("far")?.srcObject;
    if (!stream || ears?.stream === stream) return;
    ears?.context.close();
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = SIZE;
    analyser.smoothingTimeConstant = 0;
    context.createMediaStreamSource(stream).connect(analyser);
    ears = { stream, context, analyser, bins: new Float32Array(analyser.frequencyBinCount) };
  }

  function loudness(hertz) {
    const near = Math.round(hertz / (ears.context.sampleRate / SIZE));
    return Math.max(...ears.bins.slice(near - 2, near + 3));
  }

  function look() {
    listen();
    if (!ears) return;
    ears.analyser.getFloatFrequencyData(ears.bins);
    told.keys = Math.max(told.keys, ...KEYS.map(loudness));
  }

  setInterval(look, 50);

  // --- whether it rings -------------------------------------------------------------------------

  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function overheard(to, ...more) {
    if (to instanceof AudioDestinationNode && to.context instanceof AudioContext) {
      const analyser = to.context.createAnalyser();
      connect.call(this, analyser);
      const samples = new Float32Array(analyser.fftSize);
      const looking = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        told.rang = Math.max(told.rang, ...samples.map(Math.abs));
      }, 50);
      setTimeout(() => clearInterval(looking), 2000);
    }
    return connect.call(this, to, ...more);
  };

  if (globalThis.Notification) {
    const Real = Notification;
    const ask = Real.requestPermission.bind(Real);
    globalThis.Notification = class extends Real {
      constructor(title, how) {
        super(title, how);
        told.notices.push([title, how?.body ?? ""]);
      }

      static requestPermission(...more) {
        told.asked += 1;
        return ask(...more);
      }
    };
  }

  // --- what it shows ----------------------------------------------------------------------------

  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.attributeName === "data-state") told.states.push(change.target.dataset.state);
      if (change.type === "characterData") texts.add(change.target.data);
      if (change.type === "attributes") texts.add(change.target.getAttribute(change.attributeName));
      for (const node of change.addedNodes) texts.add(node.textContent);
    }
  }).observe(document, { childList: true, subtree: true, characterData: true, attributes: true });

  return {
    told,
    hears: (hertz) => ears !== null && loudness(hertz) > FLOOR_DB,
    texts: () => [...texts].filter(Boolean),
    speak(on) {
      for (const one of microphones) for (const track of one.getAudioTracks()) track.enabled = on;
    },
    ask,
    // As the page does it, without its question.
    async logOut() {
      await ask("POST", "/call/hang-up", {});
      await ask("DELETE", "/session");
    },
  };

  // What the page would never ask; the code of the answer.
  async function ask(method, path, body) {
    const token = document.querySelector('meta[name="csrf-token"]').content;
    const answer = await fetch(`/api/v1/agent${path}`, {
      method, body: body && JSON.stringify(body),
      headers: { "X-CSRFToken": token, ...(body && { "Content-Type": "application/json" }) },
    });
    return (await answer.json().catch(() => ({}))).code ?? "";
  }
})();
